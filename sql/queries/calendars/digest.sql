-- What a user's calendar is made from, as a digest: it changes whenever one of the birthdays or their contacts does.
-- $1 user. Index: contacts_pkey.
select encode(sha256(convert_to(coalesce(string_agg(id || ':' || version, ',' order by id), ''), 'UTF8')), 'hex')
from contacts
where user_id = $1 and birthday is not null
