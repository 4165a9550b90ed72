-- What a user's calendar shows, as a digest: how many birthdays, and a sum of hashes, which needs no order. It reads the index
-- alone, for each program that has subscribed asks for it again and again.
-- $1 user. Index: contacts_birthday_idx.
select concat(count(*), '-', sum(hashtextextended((id, birthday, first_name, last_name)::text, 0)))
from contacts
where user_id = $1 and birthday_md is not null
