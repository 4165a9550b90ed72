-- A user by id. Index: users_pkey.
select id, username, email, created_at from users where id = $1
