-- What a login is checked against.
-- $1 email in lower case. Index: users_email_key.
select id, password_hash, disabled_at is not null as disabled from users where email = $1
