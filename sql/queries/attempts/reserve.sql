-- Counts an attempt of each subject, before the password is looked at: of many guesses at the same moment, no more than the limits
-- get through. It counts for half a minute, in which it is judged or withdrawn. Accounts come before networks in $1, so that locks
-- are taken in one order.
-- $1 subjects, $2 the network, $3 for each subject how many attempts this network has, $4 how many all have, null for no limit.
-- A row each: whether it was granted, until when it counts, and the seconds until there is room again: until the oldest of those
-- that are too many counts no more. Index: login_attempts_pkey.
insert into login_attempts as a (subject, until, network, granted)
select subject, array[clock_timestamp() + interval '30 seconds'], array[$2::bigint], true
from unnest($1::bytea[]) with ordinality as wanted (subject, n)
order by n
on conflict (subject) do update
set (until, network, granted) = (
  select case when room then ends || clock_timestamp() + interval '30 seconds' else ends end,
    case when room then networks || $2 else networks end, room
  from (
    select coalesce(array_agg(t order by t), '{}') as ends, coalesce(array_agg(n order by t), '{}') as networks,
      count(*) filter (where n = $2) < (select most from unnest($1, $3::integer[]) as w (subject, most) where w.subject = a.subject)
        and count(*) < coalesce((select most from unnest($1, $4::integer[]) as w (subject, most) where w.subject = a.subject), 'infinity'::float8)
        as room
    from unnest(a.until, a.network) as live (t, n)
    where t > clock_timestamp()
  ) as counted
)
returning subject, granted, until[cardinality(until)] as reserved_until, (
  select ceil(extract(epoch from greatest(
    (array_agg(t order by t) filter (where n = $2))[count(*) filter (where n = $2) - of_network + 1],
    (array_agg(t order by t))[count(*) - of_all + 1]
  ) - clock_timestamp()))::bigint
  from unnest($1, $3::integer[], $4::integer[]) as w (subject, of_network, of_all), unnest(until, network) as live (t, n)
  where w.subject = a.subject
  group by of_network, of_all
) as retry_after
