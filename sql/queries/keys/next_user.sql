-- A user with a search key that an older folding made: a part of it does not begin with the mark of this one or of a newer one.
-- Index: contacts_old_key_idx.
select user_id
from contacts
where greatest(split_part(search, U&'\001f', 1), split_part(search, U&'\001f', 2), split_part(search, U&'\001f', 3),
    split_part(search, U&'\001f', 4)) >= U&'\001f'
limit 1
