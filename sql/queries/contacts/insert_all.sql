-- New contacts of several users: what several calls ask for, in one statement and one commit, so the disk is waited for once.
-- A user who is being changed or deleted is left out rather than waited for. The place is that of the call.
-- $1 users, $2… the parameters of insert.sql as arrays. Index: users_pkey.
with free as (
  select id from users where id = any($1::bigint[]) for key share skip locked
), asked as (
  -- the id is drawn first, for it is all that tells which row came of which call
  select nextval('contacts_id_seq') as id, n.*
  from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::date[], $8::text[]) with ordinality
    as n(user_id, search, first_name, last_name, email, phone_number, birthday, additional_info, place)
  where n.user_id in (select id from free)
), made as (
  insert into contacts (id, user_id, search, first_name, last_name, email, phone_number, birthday, additional_info)
  overriding system value
  select id, user_id, search, first_name, last_name, email, phone_number, birthday, additional_info from asked
  returning *
)
select m.id, m.first_name, m.last_name, m.email, m.phone_number, m.birthday, m.additional_info, m.created_at, m.updated_at,
  m.version, asked.place
from made as m join asked on asked.id = m.id
