-- Waits for logins of a user that are under way, and holds up new ones until the transaction ends.
-- $1 user. Index: users_pkey.
select id from users where id = $1 for update
