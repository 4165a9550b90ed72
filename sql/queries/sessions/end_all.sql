-- Ends the sessions of all users, and tells how many there were. The access tokens are revoked of those that were used in the last
-- hour: those of the others have expired. No index: it reads the whole table.
with ended as (
  delete from sessions returning id, last_used_at
), revoked as (
  insert into revocations (session_id)
  select id from ended where last_used_at > now() - interval '1 hour'
  on conflict do nothing
)
select count(*) from ended
