-- Moves a contact to the trash, if it is at one of these versions. The user is locked first, as by an insert: the deletion of the user
-- at the same moment comes before or after, and neither waits for the other in a circle. What is too much in the trash is
-- deleted only if asked, for to count it each time would take longer than the rest; nobody sees it meanwhile.
-- $1 user, $2 contact, $3 versions, null for any, $4 how many the trash may hold, $5 whether to look. Indexes: users_pkey, contacts_pkey, trash_user_idx.
with owner as (
  select id from users where id = $1 for key share
), gone as (
  delete from contacts
  where user_id = $1 and id = $2 and ($3::integer[] is null or version = any ($3)) and exists (select from owner)
  returning *
), given_way as (
  delete from trash
  where user_id = $1 and $5::boolean
    and deleted_at < (select deleted_at from trash where user_id = $1 order by deleted_at desc offset $4::bigint - 1 limit 1)
)
insert into trash (user_id, id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at,
  version, search)
select user_id, id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version, search
from gone
returning id
