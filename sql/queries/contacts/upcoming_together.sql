-- Contacts whose birthday falls in some ranges of days, as in upcoming.sql, for several calls: each range with its user, its limit
-- and the place of its call. A call of several ranges gets the limit from each. No range is celebrated as one day.
-- The rows of a range come in their order and are not sorted again: Postgres runs a lateral query with a limit once for each range,
-- in the order of the ranges, and a second sort of whole rows took a seventh of the time.
-- $1 places, $2 users, $3 the first days of the ranges, $4 the last, $5 limits. Index: contacts_birthday_idx.
select born.*, asked.place
from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[], $5::bigint[]) as asked(place, user_id, first_day, last_day, most)
cross join lateral (
  select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
  from contacts
  where user_id = asked.user_id and birthday_md between asked.first_day and asked.last_day
  order by birthday_md, split_part(search, U&'\001f', 1) collate name_order, split_part(search, U&'\001f', 2) collate name_order, id
  limit asked.most
) as born
