-- Ends sessions of a user and revokes their access tokens; and ends the user's API tokens, if asked.
-- $1 user, $2 the one to end, null for all, $3 the one to spare, null for none, $4 whether API tokens end, too.
-- Indexes: sessions_pkey, api_tokens_pkey.
with ended as (
  delete from sessions
  where user_id = $1 and ($2::bigint is null or id = $2) and ($3::bigint is null or id <> $3)
  returning id
), tokens as (
  delete from api_tokens where user_id = $1 and $4
)
insert into revocations (session_id)
select id from ended
on conflict do nothing
returning session_id
