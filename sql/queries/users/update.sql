-- Another name, another address. An address needs the password, so its hash must still be the one that was checked. A taken e-mail
-- is the only row that there may be already.
-- $1 user, $2 username, null to keep it, $3 email in lower case, null to keep it, $4 the hash, null for whichever it is.
-- Index: users_pkey.
update users set username = coalesce($2, username), email = coalesce($3, email)
where id = $1 and ($4::text is null or password_hash = $4)
returning id, username, email, created_at
