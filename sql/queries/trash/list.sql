-- A page of a user's trash, the latest deletion first.
-- $1 user, $2 limit, $3 skip. Index: trash_user_idx.
select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version, deleted_at
from trash
where user_id = $1 and deleted_at > now() - interval '30 days'
order by deleted_at desc, id desc
limit $2 offset $3
