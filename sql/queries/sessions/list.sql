-- A user's sessions, the last used first; a hundred, since a user from before there was a limit may have any number.
-- $1 user, $2 seconds that a session lives at most, $3 seconds that it lives unused. Index: sessions_pkey.
select id, created_at, last_used_at, user_agent, ip
from sessions
where user_id = $1 and created_at > now() - make_interval(secs => $2) and last_used_at > now() - make_interval(secs => $3)
order by last_used_at desc, id desc
limit 100
