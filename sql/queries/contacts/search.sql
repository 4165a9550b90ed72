-- A page of the contacts that match, or of all with some passed over, by id, up. The inner query reads the index alone; rows
-- are fetched for the hits.
-- $1 user, $2 the id to begin behind, null for the start, $3 limit, $4 skip,
-- $5 two for each part of the search key: what to find in it, null where nothing is asked, and for that of the phone number a
-- tail that will do as well; $6 $7 $8 three for the first word, of which one must be found: the word anywhere, digits in the phone
-- number, a tail; $9 $10 $11 for the second; $12 for each word, as an array, of which the others are taken. Null for none. The first word is the longest, so
-- the others are looked for in few contacts; as subqueries or in an array all words would take twice the time. Not LIKE: on
-- 10,000 of the longest keys its worst pattern took 20 s, the worst needle 4 s; on ordinary ones both take 3 ms.
-- Index: contacts_pkey.
select c.id, c.first_name, c.last_name, c.email, c.phone_number, c.birthday, c.additional_info, c.created_at, c.updated_at, c.version
from (
  select id
  from contacts
  where user_id = $1 and id > coalesce($2::bigint, 0)
    and ($5::text[] is null or (($5[1] is null or strpos(split_part(search, U&'\001f', 1), $5[1]) > 0)
      and ($5[3] is null or strpos(split_part(search, U&'\001f', 2), $5[3]) > 0)
      and ($5[5] is null or strpos(split_part(search, U&'\001f', 3), $5[5]) > 0)
      and ($5[7] is null or strpos(split_part(search, U&'\001f', 4), $5[7]) > 0 or strpos(search, $5[8]) > 0)))
    and ($6::text is null or strpos(search, $6) > 0 or ($8::text is not null and strpos(search, $8::text) > 0)
      or ($7::text is not null and strpos(search, $7::text) > 0 and strpos(split_part(search, U&'\001f', 4), $7::text) > 0))
    and ($9::text is null or strpos(search, $9) > 0 or ($11::text is not null and strpos(search, $11::text) > 0)
      or ($10::text is not null and strpos(search, $10::text) > 0 and strpos(split_part(search, U&'\001f', 4), $10::text) > 0))
    and ($12::text[] is null or cardinality($12) < 7 or not exists (
      select from generate_series(7, cardinality($12), 3) as n
      where (strpos(search, $12[n]) > 0 or strpos(search, $12[n + 2]) > 0
        or (strpos(search, $12[n + 1]) > 0 and strpos(split_part(search, U&'\001f', 4), $12[n + 1]) > 0)) is not true))
  order by id
  limit $3 offset $4
) as hit
join contacts as c on c.user_id = $1 and c.id = hit.id
order by c.id
