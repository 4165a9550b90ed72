-- Whether a prepared statement is still there, and still this one. MARK tells it from one that another program prepared for the same
-- purpose; no other statement takes such parameters, so none is run in its place.
-- $1 $2 anything.
select 'MARK', $1::"char", $2::oid
