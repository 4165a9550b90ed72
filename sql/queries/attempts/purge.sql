-- Forgets subjects whose last attempt is older than a quarter of an hour. Those in use are left for the next time: waiting for
-- one while holding another could be a deadlock with an attempt that needs both.
delete from attempts where subject in (
  select subject from attempts
  where cardinality(at) = 0 or at[cardinality(at)] < now() - interval '15 minutes'
  for update skip locked
)
