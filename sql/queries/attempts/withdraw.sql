-- An attempt counts no more and, where its password was right, nor do the failures at this account from the same network. (What
-- counts for half a minute at most may still be judged, or soon counts no more.) Its rows are locked in the order of $1, as in fail.sql.
-- $1 subjects, $2 until when it counted for each, $3 the account and $4 the network that is forgiven, null for none.
-- Index: login_attempts_pkey.
with mine as materialized (
  select subject, wanted.until
  from unnest($1::bytea[], $2::timestamptz[]) with ordinality as wanted (subject, until, n)
  join login_attempts using (subject)
  order by n
  for update of login_attempts
)
update login_attempts as a
set (until, network) = (
  select coalesce(array_agg(t order by t), '{}'), coalesce(array_agg(n order by t), '{}')
  from unnest(a.until, a.network) as live (t, n)
  where t <> mine.until
    and (a.subject is distinct from $3::bytea or n <> $4::bigint or t <= clock_timestamp() + interval '30 seconds')
)
from mine
where a.subject = mine.subject
