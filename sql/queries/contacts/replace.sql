-- The whole contact anew, if it is at one of these versions.
-- $1 user, $2 contact, $3 first_name, $4 last_name, $5 email, $6 phone_number, $7 birthday, $8 additional_info, $9 search,
-- $10 versions, null for any. Index: contacts_pkey.
update contacts
set first_name = $3, last_name = $4, email = $5, phone_number = $6, birthday = $7, additional_info = $8, search = $9,
  version = version + 1, updated_at = now()
where user_id = $1 and id = $2 and ($10::integer[] is null or version = any ($10))
returning id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
