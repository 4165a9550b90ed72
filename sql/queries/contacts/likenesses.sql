-- What tells whether a user has a contact with the same fields: the first 16 bytes of a digest of each contact behind an id, one
-- behind the other; and the id to go on behind, null at the end. One row, for a row each would take ten times the memory. No
-- field can hold the separator.
-- $1 user, $2 id, $3 limit. Index: contacts_pkey.
select string_agg(substr(sha256(convert_to(concat_ws(U&'\001f', first_name, coalesce(last_name, ''), coalesce(email, ''),
    coalesce(phone_number, ''), coalesce(to_char(birthday, 'YYYY-MM-DD'), ''), coalesce(additional_info, '')), 'UTF8')), 1, 16), ''),
  case when count(*) = $3 then max(id) end
from (select * from contacts where user_id = $1 and id > $2 order by id limit $3) as page
