-- Whether there is such a contact, to tell 404 from 412.
-- $1 user, $2 contact. Index: contacts_pkey.
select 1 from contacts where user_id = $1 and id = $2
