-- Users by id: what several calls ask for, in one statement. The place is that of the call.
-- $1 users. Index: users_pkey.
select u.id, u.username, u.email, u.created_at, asked.place
from unnest($1::bigint[]) with ordinality as asked(id, place)
cross join lateral (select * from users where id = asked.id offset 0) as u
