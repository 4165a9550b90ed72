-- The same for an address of an older release, which does not name its user.
-- $1 SHA-256 of the secret. Index: calendars_secret_hash_key.
select c.user_id, u.username
from calendars as c
join users as u on u.id = c.user_id
where c.secret_hash = $1 and u.disabled_at is null
