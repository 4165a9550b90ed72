-- A new contact.
-- $1 user, $2 search, $3… the values of the fields, in their order.
insert into contacts (user_id, search, first_name, last_name, email, phone_number, birthday, additional_info)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
