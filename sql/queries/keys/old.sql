-- Some of a user's contacts with such a key.
-- $1 user. Index: contacts_old_key_idx.
select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
from contacts
where user_id = $1 and greatest(split_part(search, U&'\001f', 1), split_part(search, U&'\001f', 2), split_part(search, U&'\001f', 3),
    split_part(search, U&'\001f', 4)) >= U&'\001f'
order by id
limit 500
