-- The password of an attempt was wrong: it counts for a quarter of an hour.
-- $1 subject, $2 until when it counted. Index: login_attempts_pkey.
update login_attempts set until = array_replace(until, $2, clock_timestamp() + interval '15 minutes') where subject = $1
