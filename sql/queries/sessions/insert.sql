-- A new session of a user who is not disabled and whose password is still the one that was checked.
-- $1 user, $2 user agent, $3 address, $4 the password hash. No row where that is so no more. The lock makes a change of the
-- password, or a lock-out, that is under way come first: it ends the sessions that there are, and must not miss this one.
-- Index: users_pkey.
insert into sessions (user_id, user_agent, ip)
select id, $2, $3 from users where id = $1 and disabled_at is null and password_hash = $4
for share
returning id, generation, created_at
