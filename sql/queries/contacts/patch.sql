-- Some fields of a contact, if it is at one of these versions. One statement, so nothing can come between reading and writing;
-- the search key is put together from its new parts and the parts that stay.
-- $1 user, $2 contact, $3 which of first_name, last_name, email, phone_number, birthday, additional_info change,
-- $4… $9 their values, $10 versions, null for any, $11 the changed parts of the search key, null where it stays.
-- A patch that changes no field leaves the version as it is. Index: contacts_pkey.
update contacts
set first_name = case when ($3::boolean[])[1] then $4 else first_name end,
  last_name = case when $3[2] then $5 else last_name end,
  email = case when $3[3] then $6 else email end,
  phone_number = case when $3[4] then $7 else phone_number end,
  birthday = case when $3[5] then $8 else birthday end,
  additional_info = case when $3[6] then $9 else additional_info end,
  search = concat_ws(U&'\001f',
    coalesce(($11::text[])[1], split_part(search, U&'\001f', 1)),
    coalesce($11[2], split_part(search, U&'\001f', 2)),
    coalesce($11[3], split_part(search, U&'\001f', 3)),
    coalesce($11[4], split_part(search, U&'\001f', 4))),
  version = version + (true = any ($3))::integer,
  updated_at = case when true = any ($3) then now() else updated_at end
where user_id = $1 and id = $2 and ($10::integer[] is null or version = any ($10))
returning id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
