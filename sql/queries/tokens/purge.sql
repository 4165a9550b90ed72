-- Forgets some API tokens that have expired, if no other instance purges.
-- $1 how many. Index: api_tokens_age_idx.
delete from api_tokens
where (select pg_try_advisory_xact_lock(-483006768997)) and (user_id, id) in (
  select user_id, id from api_tokens
  where expires_at at time zone 'UTC' < now() at time zone 'UTC'
  order by expires_at at time zone 'UTC'
  limit $1
  for update skip locked
)
