-- Forgets some revocations that every access token has outlived, if no other instance purges.
-- $1 how many, $2 seconds that a revocation is kept. Index: revocations_revoked_at_idx.
delete from revocations
where (select pg_try_advisory_xact_lock(-483006768997)) and session_id in (
  select session_id from revocations
  where revoked_at < now() - make_interval(secs => $2)
  order by revoked_at
  limit $1
  for update skip locked
)
