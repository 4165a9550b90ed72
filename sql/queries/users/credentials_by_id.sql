-- What a user who is logged in is asked for again.
-- $1 user. Index: users_pkey.
select id, password_hash, disabled_at is not null as disabled from users where id = $1
