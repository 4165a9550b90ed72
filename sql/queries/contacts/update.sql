-- Changes the named fields of a contact, if it is at one of these versions. One statement, so nothing can come between reading
-- and writing; the search key is put together from its new parts and the parts that stay.
-- $1 user, $2 contact, $3 versions, null for any, $4 the names of the fields that change, $5 the parts of the search key, null
-- where one stays, $6… the values of all fields, in their order; those of fields that are not named do not matter.
-- Without a name the version stays as it is. Index: contacts_pkey.
update contacts
set first_name = case when 'first_name' = any ($4::text[]) then $6 else first_name end,
  last_name = case when 'last_name' = any ($4) then $7 else last_name end,
  email = case when 'email' = any ($4) then $8 else email end,
  phone_number = case when 'phone_number' = any ($4) then $9 else phone_number end,
  birthday = case when 'birthday' = any ($4) then $10 else birthday end,
  additional_info = case when 'additional_info' = any ($4) then $11 else additional_info end,
  search = (
    select string_agg(coalesce(new, old, ''), U&'\001f' order by n)
    from unnest(string_to_array(search, U&'\001f'), $5::text[]) with ordinality as part (old, new, n)
  ),
  version = version + (cardinality($4) > 0)::integer,
  updated_at = case when cardinality($4) > 0 then clock.now else updated_at end
from (select now()) as clock
where user_id = $1 and id = $2 and ($3::integer[] is null or version = any ($3))
returning id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
