-- Contacts whose birthday falls in one of two windows of days, nearest first, then by name. The index gives the order of days,
-- so each branch sorts one day after the other and ends with its limit, however many birthdays are in the window.
-- $1 user; $2 $3 the first window; $4 $5 the second, 1 to 0 for none; $6 limit, $7 skip. Index: contacts_birthday_idx.
select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
from (
  select * from (
    select 1 as part, *
    from contacts
    where user_id = $1 and birthday_md between $2 and $3
    order by birthday_md, search, id
    limit $6::bigint + $7
  ) as first
  union all
  select * from (
    select 2 as part, *
    from contacts
    where user_id = $1 and birthday_md between $4 and $5
    order by birthday_md, search, id
    limit $6::bigint + $7
  ) as second
) as born
order by part, birthday_md, search, id
limit $6 offset $7
