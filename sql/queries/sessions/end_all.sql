-- Ends the sessions of all users, revokes their access tokens, and tells how many there were. (Which of them are recent does not
-- tell after a restore, when all seem old.) No index: it reads the whole table.
with ended as (
  delete from sessions returning id
), revoked as (
  insert into revocations (session_id) select id from ended on conflict do nothing
)
select count(*) from ended
