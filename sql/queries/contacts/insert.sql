-- A new contact.
-- $1 user, $2 first_name, $3 last_name, $4 email, $5 phone_number, $6 birthday, $7 additional_info, $8 search.
insert into contacts (user_id, first_name, last_name, email, phone_number, birthday, additional_info, search)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning id, first_name, last_name, email, phone_number, birthday, additional_info, created_at, updated_at, version
