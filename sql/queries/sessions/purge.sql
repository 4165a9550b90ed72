-- Forgets sessions that no refresh token can revive, API tokens that have expired, and revocations that every access token has
-- outlived. Sessions stay an
-- hour more, for an access token may be a quarter of an hour younger than its session, and must be found when it is revoked.
-- $1 seconds that a session lives at most, $2 seconds that it lives unused, $3 seconds that a revocation is kept.
with old as (
  delete from sessions
  where created_at < now() - make_interval(hours => 1, secs => $1) or last_used_at < now() - make_interval(hours => 1, secs => $2)
), expired as (
  delete from api_tokens where expires_at < now()
)
delete from revocations where revoked_at < now() - make_interval(secs => $3)
