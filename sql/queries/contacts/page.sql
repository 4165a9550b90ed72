-- A page of a user's contacts by id, up.
-- $1 user, $2 the id to begin behind, null for the start, $3 limit. A page that skips some goes by search.sql,
-- which passes over them in the index alone. Index: contacts_pkey.
select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
from contacts
where user_id = $1 and id > coalesce($2::bigint, 0)
order by id
limit $3
