-- Another name.
-- $1 user, $2 username, null to keep it. Index: users_pkey.
update users set username = coalesce($2, username) where id = $1
returning id, username, email, created_at
