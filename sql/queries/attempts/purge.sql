-- Forgets some subjects that have no attempt left that counts, if no other instance purges. Those in use are left for the next time:
-- waiting for one while holding another could be a deadlock with an attempt that needs both. It reads the whole table, which holds
-- the last quarter of an hour: an index of the times would make every attempt write it.
-- $1 how many.
delete from login_attempts
where (select pg_try_advisory_xact_lock(-483006768997)) and subject in (
  select subject from login_attempts
  where not exists (select from unnest(until) as t where t > now())
  limit $1
  for update skip locked
)
