-- The first contacts of several users by id, up: what several calls ask for, in one statement. The place is that of the call.
-- $1 users, $2 limits. Index: contacts_pkey.
select c.id, c.first_name, c.last_name, c.email, c.phone_number, c.birthday, c.additional_info, c.created_at, c.updated_at,
  c.version, asked.place
from unnest($1::bigint[], $2::bigint[]) with ordinality as asked(user_id, most, place)
cross join lateral (select * from contacts where user_id = asked.user_id order by id limit asked.most) as c
order by asked.place, c.id
