-- Revokes the access tokens of sessions that have ended. The time is that of the statement, which is the last one of its
-- transaction: what is committed long after its time would be missed by the other instances.
-- $1 sessions.
insert into revocations (session_id, revoked_at)
select session_id, clock_timestamp()
from unnest($1::bigint[]) as session_id
on conflict do nothing
