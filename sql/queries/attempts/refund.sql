-- Gives an attempt back.
-- $1 subjects, $2 when each was reserved. Index: attempts_pkey.
update attempts as a
set at = array_remove(a.at, r.reserved_at)
from unnest($1::bytea[], $2::timestamptz[]) as r (subject, reserved_at)
where a.subject = r.subject
