-- Contacts whose birthday falls in some ranges of days, as in upcoming.sql, for several calls: each range with its user, its limit
-- and the place of its call. A call of several ranges gets the limit from each. No range is celebrated as one day.
-- $1 places, $2 users, $3 the first days of the ranges, $4 the last, $5 limits. Index: contacts_birthday_idx.
select born.id, born.first_name, born.last_name, born.email, born.phone_number, born.birthday, born.additional_info, born.created_at,
  born.updated_at, born.version, asked.place
from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[], $5::bigint[]) with ordinality
  as asked(place, user_id, first_day, last_day, most, number)
cross join lateral (
  select *, ltrim(split_part(search, U&'\001f', 1), U&'\001b\001c\001d\001e') collate name_order as first_key,
    ltrim(split_part(search, U&'\001f', 2), U&'\001b\001c\001d\001e') collate name_order as last_key
  from contacts
  where user_id = asked.user_id and birthday_md between asked.first_day and asked.last_day
  order by birthday_md, first_key, last_key, id
  limit asked.most
) as born
order by asked.number, born.birthday_md, born.first_key, born.last_key, born.id
