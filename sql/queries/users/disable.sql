-- Locks a user out.
-- $1 email in lower case. Index: users_email_key.
update users set disabled_at = coalesce(disabled_at, clock.now)
from (select now()) as clock
where email = $1
returning id
