-- Whether this transaction may import: one at a time does for a user, whichever instance it runs at. It touches no row, so that
-- nothing else of the user waits for an import.
-- $1 user.
select pg_try_advisory_xact_lock($1)
