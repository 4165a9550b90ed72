-- Whose calendar a secret opens. A disabled user's opens no more.
-- $1 SHA-256 of the secret. Index: calendars_secret_hash_key.
select c.user_id
from calendars as c
join users as u on u.id = c.user_id
where c.secret_hash = $1 and u.disabled_at is null
