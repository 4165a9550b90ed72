-- Moves contacts from the trash back among the contacts, each with its id and a new version. The user is locked first, as in
-- contacts/delete.sql.
-- $1 user, $2 contacts, $3 how many the trash may hold: older ones are as good as gone. Indexes: users_pkey, trash_pkey, trash_user_idx.
with owner as (
  select id from users where id = $1 for key share
), back as (
  delete from trash
  where user_id = $1 and id = any ($2::bigint[]) and exists (select from owner) and deleted_at > now() - interval '30 days'
    and deleted_at >= coalesce(
      (select deleted_at from trash where user_id = $1 order by deleted_at desc offset $3::bigint - 1 limit 1), '-infinity')
  returning *
)
insert into contacts (user_id, id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, version, search)
overriding system value
select user_id, id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, version + 1, search
from back
returning id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
