-- The same as upcoming.sql for windows in which 29 February is celebrated together with the 28th: the two days share one order
-- of names, which no index gives, so all hits are sorted.
-- $1… $7 as in upcoming.sql; whether 29 February is celebrated on the 28th: $8 in the first window, $9 in the second. Index: contacts_birthday_idx.
select id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
from (
  select 1 as part, case when $8::boolean and birthday_md = 229 then 228 else birthday_md end as day, *
  from contacts
  where user_id = $1 and birthday_md between $2 and $3
  union all
  select 2, case when $9::boolean and birthday_md = 229 then 228 else birthday_md end, *
  from contacts
  where user_id = $1 and birthday_md between $4 and $5
) as born
order by part, day, search, id
limit $6 offset $7
