-- How many contacts match.
-- $1 user, $2 what to find in each part, $3 $4 $5 $6 $7 $8 $9 the words, as in search.sql. Index: contacts_pkey.
select count(*)
from contacts
where user_id = $1
  and ($2::text[] is null or (($2[1] is null or strpos(split_part(search, U&'\001f', 1), $2[1]) > 0)
    and ($2[3] is null or strpos(split_part(search, U&'\001f', 2), $2[3]) > 0)
    and ($2[5] is null or strpos(split_part(search, U&'\001f', 3), $2[5]) > 0)
    and ($2[7] is null or strpos(split_part(search, U&'\001f', 4), $2[7]) > 0 or strpos(search, $2[8]) > 0)))
  and ($3::text is null or strpos(search, $3) > 0 or ($5::text is not null and strpos(search, $5::text) > 0)
    or ($4::text is not null and strpos(search, $4::text) > 0 and strpos(split_part(search, U&'\001f', 4), $4::text) > 0))
  and ($6::text is null or strpos(search, $6) > 0 or ($8::text is not null and strpos(search, $8::text) > 0)
    or ($7::text is not null and strpos(search, $7::text) > 0 and strpos(split_part(search, U&'\001f', 4), $7::text) > 0))
  and ($9::text[] is null or cardinality($9) < 7 or not exists (
    select from generate_series(7, cardinality($9), 3) as n
    where (strpos(search, $9[n]) > 0 or strpos(search, $9[n + 2]) > 0
      or (strpos(search, $9[n + 1]) > 0 and strpos(split_part(search, U&'\001f', 4), $9[n + 1]) > 0)) is not true))
