-- The next generation of a session, asked for with a refresh token. The row's lock puts refreshes of one session in order:
-- the first raises the generation, the others find it raised and, within the grace, get that same one.
-- $1 user, $2 session, $3 the token's generation, $4 seconds of grace for the one before, $5 seconds that a session lives at most,
-- $6 the network that it comes from.
-- No row where the session is gone, too old, or the token older than that. Index: sessions_pkey.
update sessions as s
set generation = case when s.generation = $3 then s.generation + 1 else s.generation end,
  rotated_at = case when s.generation = $3 then clock.now else s.rotated_at end,
  last_used_at = now(),
  latest_network = $6
from users as u, (select now()) as clock
where s.user_id = $1 and s.id = $2 and u.id = $1 and u.disabled_at is null
  and s.created_at > now() - make_interval(secs => $5)
  and (s.generation = $3 or (s.generation = $3 + 1 and s.rotated_at > now() - make_interval(secs => $4)))
returning s.generation, s.created_at
