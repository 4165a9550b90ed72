-- The password of an attempt was wrong: it counts for a quarter of an hour. Its rows are locked in the order of $1, as in reserve.sql,
-- for two attempts that lock the same rows in different orders would be a deadlock.
-- $1 subjects, $2 until when it counted for each. Index: login_attempts_pkey.
with mine as materialized (
  select subject, wanted.until
  from unnest($1::bytea[], $2::timestamptz[]) with ordinality as wanted (subject, until, n)
  join login_attempts using (subject)
  order by n
  for update of login_attempts
)
update login_attempts as a
set until = array_replace(a.until, mine.until, clock_timestamp() + interval '15 minutes')
from mine
where a.subject = mine.subject
