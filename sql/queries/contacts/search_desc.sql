-- A page of the contacts that match, or of all with some passed over, by id, down. The inner query reads the index alone; rows
-- are fetched for the hits.
-- $1 user, $2 the id to begin behind, null for the start, $3 limit, $4 skip,
-- $5 two for each part of the search key: what to find in it, null where nothing is asked, and of the phone number nine digits
-- that will do if the key ends with them; $6 three for each word, of which one must be found: the word anywhere,
-- digits in the phone number, nine digits at the end. Both null for none. The first word is the longest; the others are looked for
-- in what has it. Not LIKE: on 10,000 of the longest keys its worst pattern took 20 s, the worst needle 4 s; on ordinary ones
-- both take 3 ms.
-- Index: contacts_pkey.
select c.id, c.first_name, c.last_name, c.email, c.phone_number, c.birthday, c.additional_info, c.created_at, c.updated_at, c.version
from (
  select id
  from contacts
  where user_id = $1 and id < coalesce($2::bigint, 9223372036854775807)
    and ($5::text[] is null or ($5[1] is null or strpos(split_part(search, U&'\001f', 1), $5[1]) > 0)
      and ($5[3] is null or strpos(split_part(search, U&'\001f', 2), $5[3]) > 0)
      and ($5[5] is null or strpos(split_part(search, U&'\001f', 3), $5[5]) > 0)
      and ($5[7] is null or strpos(split_part(search, U&'\001f', 4), $5[7]) > 0 or right(search, 9) = $5[8]))
    and ($6::text[] is null or (strpos(search, $6[1]) > 0 or ($6[3] is not null and right(search, 9) = $6[3])
        or (strpos(search, $6[2]) > 0 and strpos(split_part(search, U&'\001f', 4), $6[2]) > 0))
      and (cardinality($6) = 3 or not exists (
        select from generate_series(4, cardinality($6), 3) as n
        where (strpos(search, $6[n]) > 0 or ($6[n + 2] is not null and right(search, 9) = $6[n + 2])
          or (strpos(search, $6[n + 1]) > 0 and strpos(split_part(search, U&'\001f', 4), $6[n + 1]) > 0)) is not true)))
  order by id desc
  limit $3 offset $4
) as hit
join contacts as c on c.user_id = $1 and c.id = hit.id
order by c.id desc
