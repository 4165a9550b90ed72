-- A new user.
-- $1 username, $2 email in lower case, $3 password hash. A taken e-mail violates users_email_key.
insert into users (username, email, password_hash)
values ($1, $2, $3)
returning id, username, email, created_at
