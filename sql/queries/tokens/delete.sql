-- Ends an API token.
-- $1 user, $2 token. Index: api_tokens_pkey.
delete from api_tokens where user_id = $1 and id = $2 and expires_at > now()
