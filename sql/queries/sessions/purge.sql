-- Forgets some sessions that are too old for any refresh token. They stay an hour more, for an access token may be a quarter of an hour
-- younger than its session, and must be found when it is revoked. Sessions that were not used for a week stay until then, too: an index
-- of their last use would make every refresh write it. One instance at a time purges; another one finds nothing.
-- $1 how many, $2 seconds that a session lives at most. Index: sessions_age_idx.
delete from sessions
where (select pg_try_advisory_xact_lock(-483006768997)) and (user_id, id) in (
  select user_id, id from sessions
  where created_at at time zone 'UTC' < (now() - make_interval(hours => 1, secs => $2)) at time zone 'UTC'
  order by created_at at time zone 'UTC'
  limit $1
  for update skip locked
)
