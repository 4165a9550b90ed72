-- How many contacts match.
-- $1 user, $2 $3 $4 the needles of search.sql. Index: contacts_pkey.
select count(*)
from contacts
where user_id = $1
  and ($2::text[] is null or ($2[1] is null or strpos(split_part(search, U&'\001f', 1), $2[1]) > 0)
    and ($2[2] is null or strpos(split_part(search, U&'\001f', 2), $2[2]) > 0)
    and ($2[3] is null or strpos(split_part(search, U&'\001f', 3), $2[3]) > 0)
    and ($2[4] is null or strpos(split_part(search, U&'\001f', 4), $2[4]) > 0))
  and ($3::text is null or strpos(search, $3) > 0 or ($4::text is not null and strpos(split_part(search, U&'\001f', 4), $4) > 0))
