-- An API token is used for the first time; no row where it was already.
-- $1 user, $2 token. Index: api_tokens_pkey.
update api_tokens set first_used_at = now() where user_id = $1 and id = $2 and first_used_at is null
