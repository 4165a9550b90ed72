-- How many contacts match.
-- $1 user, $2 $3 $4 $5 $6 $7 what to find, as in search.sql. Index: contacts_pkey.
select count(*)
from contacts
where user_id = $1
  and strpos(search, $2) > 0
  and ($3::text[] is null or (($3[1] is null or strpos(split_part(search, U&'\001f', 1), $3[1]) > 0)
    and ($3[3] is null or strpos(split_part(search, U&'\001f', 2), $3[3]) > 0)
    and ($3[5] is null or strpos(split_part(search, U&'\001f', 3), $3[5]) > 0)
    and ($3[7] is null or strpos(split_part(search, U&'\001f', 4), $3[7]) > 0 or strpos(search, $3[8]) > 0)))
  and ($4::text is null or strpos(search, $4) > 0 or ($6::text is not null and strpos(search, $6) > 0)
    or ($5::text is not null and strpos(search, $5) > 0 and strpos(split_part(search, U&'\001f', 4), $5) > 0))
  and ($7::text[] is null or not exists (
    select from generate_series(1, cardinality($7), 3) as n
    where (strpos(search, $7[n]) > 0 or strpos(search, $7[n + 2]) > 0
      or (strpos(search, $7[n + 1]) > 0 and strpos(split_part(search, U&'\001f', 4), $7[n + 1]) > 0)) is not true))
