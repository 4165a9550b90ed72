-- A user by id.
-- $1 user. Index: users_pkey.
select id, username, email, created_at from users where id = $1
