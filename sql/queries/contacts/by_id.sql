-- One contact of a user.
-- $1 user, $2 contact. Index: contacts_pkey.
select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
from contacts
where user_id = $1 and id = $2
