-- Whether this transaction may do what the key is for: one at a time does, at whichever instance. It waits for none, so that no
-- connection is held by who waits.
-- $1 user, $2 key.
select pg_try_advisory_xact_lock(hashtextextended($2, $1))
