-- A secret for a user's calendar; a new one replaces the old.
-- $1 user, $2 SHA-256 of the secret.
insert into calendars (user_id, secret_hash) values ($1, $2)
on conflict (user_id) do update set secret_hash = excluded.secret_hash
