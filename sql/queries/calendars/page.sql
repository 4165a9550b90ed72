-- A page of a user's contacts that have a birthday, by id, up.
-- $1 user, $2 the id to begin behind, $3 limit. Index: contacts_pkey.
select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
from contacts
where user_id = $1 and id > $2 and birthday is not null
order by id
limit $3
