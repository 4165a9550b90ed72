-- A page of the contacts that match, by a text of the search key, up; ties by id. It reads the index alone and sorts the user's
-- own contacts, for an index for each key would cost every insert; rows are fetched for the page. No index depends on the
-- order, so an operator can change it. The marks of the folding's revision do not count.
-- $1 user, $2 the id to begin behind, null for the start, $3 limit, $4 skip, $5 $6 $7 $8 $9 $10 as in search.sql, $11 the number of the part
-- that is the key, $12 the key to begin behind. Index: contacts_pkey.
select c.id, c.first_name, c.last_name, c.email, c.phone_number, c.birthday, c.additional_info, c.created_at, c.updated_at, c.version, hit.key
from (
  select id, key
  from (
    select id, ltrim(split_part(search, U&'\001f', $11::integer), U&'\001b\001c\001d\001e') collate name_order as key
    from contacts
    where user_id = $1
      and strpos(search, $5) > 0
      and ($6::text[] is null or (($6[1] is null or strpos(split_part(search, U&'\001f', 1), $6[1]) > 0)
        and ($6[3] is null or strpos(split_part(search, U&'\001f', 2), $6[3]) > 0)
        and ($6[5] is null or strpos(split_part(search, U&'\001f', 3), $6[5]) > 0)
        and ($6[7] is null or strpos(split_part(search, U&'\001f', 4), $6[7]) > 0 or strpos(search, $6[8]) > 0)))
      and ($7::text is null or strpos(search, $7) > 0 or ($9::text is not null and strpos(search, $9) > 0)
        or ($8::text is not null and strpos(search, $8) > 0 and strpos(split_part(search, U&'\001f', 4), $8) > 0))
      and ($10::text[] is null or not exists (
        select from generate_series(1, cardinality($10), 3) as n
        where (strpos(search, $10[n]) > 0 or strpos(search, $10[n + 2]) > 0
          or (strpos(search, $10[n + 1]) > 0 and strpos(split_part(search, U&'\001f', 4), $10[n + 1]) > 0)) is not true))
  ) as keyed
  where $2::bigint is null or (key, id) > ($12::text collate name_order, $2)
  order by key, id
  limit $3 offset $4
) as hit
join contacts as c on c.user_id = $1 and c.id = hit.id
order by hit.key, c.id
