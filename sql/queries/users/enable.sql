-- Lets a user in again.
-- $1 email in lower case. Index: users_email_key.
update users set disabled_at = null where email = $1
returning id
