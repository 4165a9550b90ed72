-- Ends sessions of a user, and the user's API tokens, if asked. Their access tokens are revoked by another statement of the transaction.
-- $1 user, $2 the one to end, null for all, $3 the one to spare, null for none, $4 whether API tokens end, too.
-- Indexes: sessions_pkey, api_tokens_pkey.
with tokens as (
  delete from api_tokens where user_id = $1 and $4
)
delete from sessions
where user_id = $1 and ($2::bigint is null or id = $2) and ($3::bigint is null or id <> $3)
returning id
