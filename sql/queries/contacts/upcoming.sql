-- Contacts whose birthday falls in some ranges of days, nearest first, then by name. The index gives the order of days, so each
-- range is read day by day up to its limit, however many birthdays are in it. A name's key is compared with its mark, which Unicode's
-- order passes over and which all have in common once they are refolded; to cut it off would take longer than to compare.
-- $1 user; $2 the first days of the ranges, $3 the last, $4 whether a range is celebrated as one day: 28 and 29 February, whose
-- names sort together, so all of them are read; $5 limit, $6 skip. Index: contacts_birthday_idx.
select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
from unnest($2::smallint[], $3::smallint[], $4::boolean[]) with ordinality as range (first_day, last_day, is_one, number)
cross join lateral (
  select *, split_part(search, U&'\001f', 1) collate name_order as first_key,
    split_part(search, U&'\001f', 2) collate name_order as last_key
  from contacts
  where user_id = $1 and birthday_md between range.first_day and range.last_day
  order by birthday_md, first_key, last_key, id
  limit case when range.is_one then null else $5::bigint + $6 end
) as born
order by number, case when is_one then 0 else birthday_md end, first_key, last_key, id
limit $5 offset $6
