-- An attempt counts no more and, where its password was right, nor do the failures at this account from the same network. (What
-- counts for half a minute at most may still be judged, or soon counts no more.)
-- $1 subject, $2 until when it counted, $3 the network that is forgiven, null for none. Index: login_attempts_pkey.
update login_attempts
set (until, network) = (
  select coalesce(array_agg(t order by t), '{}'), coalesce(array_agg(n order by t), '{}')
  from unnest(until, network) as live (t, n)
  where t <> $2 and (n is distinct from $3 or t <= clock_timestamp() + interval '30 seconds')
)
where subject = $1
