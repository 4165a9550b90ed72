-- Forgets some keys that are a day old, if no other instance purges. Those in use are left for
-- the next time.
-- $1 how many. Index: repeats_age_idx.
delete from repeats
where (select pg_try_advisory_xact_lock(-483006768997)) and (user_id, key) in (
  select user_id, key from repeats
  where made_at at time zone 'UTC' <= (now() - interval '24 hours') at time zone 'UTC'
  order by made_at at time zone 'UTC'
  limit $1
  for update skip locked
)
