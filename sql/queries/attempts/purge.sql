-- Forgets subjects whose last attempt is older than a quarter of an hour.
delete from attempts where cardinality(at) = 0 or at[cardinality(at)] < now() - interval '15 minutes'
