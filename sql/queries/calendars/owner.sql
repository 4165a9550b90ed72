-- Whose calendar a secret opens, if it names its user. A disabled user's opens no more.
-- $1 SHA-256 of the secret, $2 user. Index: calendars_secret_hash_key.
select c.user_id, u.username
from calendars as c
join users as u on u.id = c.user_id
where c.user_id = $2 and c.secret_hash = $1 and u.disabled_at is null
