-- A new user; no row where the e-mail is taken.
-- $1 username, $2 email in lower case, $3 password hash. Index: users_email_key.
insert into users (username, email, password_hash)
values ($1, $2, $3)
on conflict (email) do nothing
returning id, username, email, created_at
