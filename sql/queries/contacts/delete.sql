-- Deletes a contact, if it is at one of these versions.
-- $1 user, $2 contact, $3 versions, null for any. Index: contacts_pkey.
delete from contacts
where user_id = $1 and id = $2 and ($3::integer[] is null or version = any ($3))
returning id
