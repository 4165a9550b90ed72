-- New contacts, as columns: one statement whatever their number.
-- $1 user, $2… the parameters of insert.sql as arrays.
insert into contacts (user_id, search, first_name, last_name, email, phone_number, birthday, additional_info)
select $1, n.*
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::date[], $8::text[]) as n
