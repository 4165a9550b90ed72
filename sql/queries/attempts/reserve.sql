-- Takes one of the attempts that each subject has in a quarter of an hour, before the password is looked at: of many guesses
-- at the same moment, no more than the limit get through. Accounts come before addresses in $1, so that locks are taken in one order.
-- $1 subjects, $2 the limit of each. A row each: whether it was granted, when, and the seconds until there is room again: until
-- the oldest is forgotten, or a later one where the limit was lowered meanwhile. Index: attempts_pkey.
insert into attempts as a (subject, at, granted)
select subject, array[clock_timestamp()], true
from unnest($1::bytea[]) with ordinality as wanted (subject, n)
order by n
on conflict (subject) do update
set (at, granted) = (
  select case when room then live || clock_timestamp() else live end, room
  from (
    select coalesce(array_agg(t order by t), '{}') as live,
      count(*) < (select most from unnest($1::bytea[], $2::integer[]) as w (subject, most) where w.subject = a.subject) as room
    from unnest(a.at) as t
    where t > now() - interval '15 minutes'
  ) as counted
)
returning subject, granted, at[cardinality(at)] as reserved_at,
  (select ceil(extract(epoch from at[greatest(cardinality(at) - most + 1, 1)] + interval '15 minutes' - now()))::bigint
    from unnest($1::bytea[], $2::integer[]) as w (subject, most) where w.subject = a.subject) as retry_after
