-- The date in a time zone, and the seconds until it ends there.
-- $1 the zone's name.
select (now() at time zone $1)::date as today,
  extract(epoch from ((now() at time zone $1)::date + 1)::timestamp at time zone $1 - now())::float8 as ends_in
