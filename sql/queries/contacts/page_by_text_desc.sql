-- A page of the contacts that match, by a text of the search key, down; ties by id. It reads the index alone and sorts the user's
-- own contacts, for an index for each key would cost every insert; rows are fetched for the page. No index depends on the
-- order, so an operator can change it. The marks of the folding's revision do not count.
-- $1 user, $2 the id to begin behind, null for the start, $3 limit, $4 skip, $5 $6 $7 $8 $9 $10 $11 $12 as in search.sql, $13 the number of the part
-- that is the key, $14 the key to begin behind. Index: contacts_pkey.
select c.id, c.first_name, c.last_name, c.email, c.phone_number, c.birthday, c.additional_info, c.created_at, c.updated_at, c.version, hit.key
from (
  select id, key
  from (
    select id, ltrim(split_part(search, U&'\001f', $13::integer), U&'\001b\001c\001d\001e') collate name_order as key
    from contacts
    where user_id = $1
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
  ) as keyed
  where $2::bigint is null or (key, id) < ($14::text collate name_order, $2)
  order by key desc, id desc
  limit $3 offset $4
) as hit
join contacts as c on c.user_id = $1 and c.id = hit.id
order by hit.key desc, c.id desc
