-- Lets logins of a user begin their sessions one after the other, if the user is not disabled and the password is still the one that
-- was checked. No row where that is so no more. A change of the password, or a lock-out, that is under way comes first: it ends the
-- sessions that there are, and must not miss this one.
-- $1 user, $2 the password hash. Index: users_pkey.
select id from users where id = $1 and disabled_at is null and password_hash = $2 for no key update
