-- Forgets subjects that have no attempt left that counts. Those in use are left for the next time: waiting for one while holding
-- another could be a deadlock with an attempt that needs both.
delete from login_attempts where subject in (
  select subject from login_attempts
  where not exists (select from unnest(until) as t where t > now())
  for update skip locked
)
