-- Another password hash, unless the hash has changed since it was read: of two changes at once, one wins.
-- $1 user, $2 the new hash, $3 the old one, null for whichever it is. Index: users_pkey.
update users set password_hash = $2
where id = $1 and ($3::text is null or password_hash = $3)
returning id
