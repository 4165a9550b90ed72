-- Ends the sessions and the API tokens of all users, revokes the access tokens of the former, and tells how many sessions there were.
-- (Which of them are recent does not tell after a restore, when all seem old.) No index: it reads the whole tables.
with ended as (
  delete from sessions returning id
), tokens as (
  delete from api_tokens
), revoked as (
  insert into revocations (session_id) select id from ended on conflict do nothing
)
select count(*) from ended
