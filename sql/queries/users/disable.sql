-- Locks a user out.
-- $1 email in lower case. Index: users_email_key.
update users set disabled_at = coalesce(disabled_at, now()) where email = $1
returning id
