-- How many contacts match.
-- $1 user, $2 $3 the needles of search.sql. Index: contacts_pkey.
select count(*)
from contacts
where user_id = $1
  and ($2::text[] is null or ($2[1] is null or strpos(split_part(search, U&'\001f', 1), $2[1]) > 0)
    and ($2[3] is null or strpos(split_part(search, U&'\001f', 2), $2[3]) > 0)
    and ($2[5] is null or strpos(split_part(search, U&'\001f', 3), $2[5]) > 0)
    and ($2[7] is null or strpos(split_part(search, U&'\001f', 4), $2[7]) > 0 or right(search, 9) = $2[8]))
  and ($3::text[] is null or (strpos(search, $3[1]) > 0 or ($3[3] is not null and right(search, 9) = $3[3])
      or (strpos(search, $3[2]) > 0 and strpos(split_part(search, U&'\001f', 4), $3[2]) > 0))
    and (cardinality($3) = 3 or not exists (
      select from generate_series(4, cardinality($3), 3) as n
      where (strpos(search, $3[n]) > 0 or ($3[n + 2] is not null and right(search, 9) = $3[n + 2])
        or (strpos(search, $3[n + 1]) > 0 and strpos(split_part(search, U&'\001f', 4), $3[n + 1]) > 0)) is not true)))
