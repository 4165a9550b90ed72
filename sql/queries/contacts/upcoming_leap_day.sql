-- The same as upcoming.sql for windows in which 29 February is celebrated together with the 28th: the two days share one order
-- of names, which no index gives, so all hits are sorted.
-- $1 user; $2 $3 the first window, $4 whether 29 February is celebrated on the 28th in it; $5 $6 $7 the second, 1 to 0 for none;
-- $8 limit, $9 skip. Index: contacts_birthday_idx.
select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
from (
  select 1 as part, case when $4::boolean and birthday_md = 229 then 228 else birthday_md end as day, *
  from contacts
  where user_id = $1 and birthday_md between $2 and $3
  union all
  select 2, case when $7::boolean and birthday_md = 229 then 228 else birthday_md end, *
  from contacts
  where user_id = $1 and birthday_md between $5 and $6
) as born
order by part, day, search, id
limit $8 offset $9
