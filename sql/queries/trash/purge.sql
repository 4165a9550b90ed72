-- Deletes some contacts for good that have been in the trash for 30 days, if no other instance purges. Those in use are left for
-- the next time.
-- $1 how many. Index: trash_age_idx.
delete from trash
where (select pg_try_advisory_xact_lock(-483006768997)) and (user_id, id) in (
  select user_id, id from trash
  where deleted_at at time zone 'UTC' <= (now() - interval '30 days') at time zone 'UTC'
  order by deleted_at at time zone 'UTC'
  limit $1
  for update skip locked
)
