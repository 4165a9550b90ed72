-- A new session of a user who is not disabled.
-- $1 user, $2 user agent, $3 address. No row where the user is gone or disabled. Index: users_pkey.
insert into sessions (user_id, user_agent, ip)
select id, $2, $3 from users where id = $1 and disabled_at is null
returning id, generation, created_at
