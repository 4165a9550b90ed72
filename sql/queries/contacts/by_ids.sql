-- Contacts by id, each of its own user: what several calls ask for, in one statement. The place is that of the call.
-- $1 users, $2 contacts. Index: contacts_pkey.
select c.id, c.first_name, c.last_name, c.email, c.phone_number, c.birthday, c.additional_info, c.created_at, c.updated_at,
  c.version, asked.place
from unnest($1::bigint[], $2::bigint[]) with ordinality as asked(user_id, id, place)
-- offset 0 keeps it apart, so that it is looked up by index whatever the planner thinks of the number of calls
cross join lateral (select * from contacts where user_id = asked.user_id and id = asked.id offset 0) as c
