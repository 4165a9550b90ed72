-- How many contacts match.
-- $1 user, $2 $3 $4 the patterns of search.sql. Index: contacts_pkey.
select count(*)
from contacts
where user_id = $1
  and ($2::text is null or search like $2)
  and ($3::text is null or search like $3 or search like $4)
