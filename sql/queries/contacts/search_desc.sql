-- A page of the contacts that match, or of all with some passed over, by id, down. The inner query reads the index alone; rows
-- are fetched for the hits.
-- $1 user, $2 the id to begin behind, null for the start, $3 limit, $4 skip,
-- $5 pattern over the fields, $6 pattern over any field, $7 another pattern that will do for $6; null for none.
-- Index: contacts_pkey.
select c.id, c.first_name, c.last_name, c.email, c.phone_number, c.birthday, c.additional_info, c.created_at, c.updated_at, c.version
from (
  select id
  from contacts
  where user_id = $1 and id < coalesce($2::bigint, 9223372036854775807)
    and ($5::text is null or search like $5)
    and ($6::text is null or search like $6 or search like $7)
  order by id desc
  limit $3 offset $4
) as hit
join contacts as c on c.user_id = $1 and c.id = hit.id
order by c.id desc
