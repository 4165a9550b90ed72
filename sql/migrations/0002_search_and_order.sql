-- The order of names: a collation of this schema, which lists sort by. Here it is Unicode's root order by ICU, or plain code
-- points where Postgres has no ICU or the database is not in UTF-8. No index depends on it, so that an operator can drop it and
-- create it anew for a language (README shows how).
do $$
begin
  create collation name_order (provider = icu, locale = 'und');
exception when feature_not_supported or invalid_object_definition then
  create collation name_order from "C";
end
$$;

-- Search keys with a part that an older folding made (src/domain/fold.rs), which housekeeping makes anew. A part begins with
-- the mark of its folding's revision, U+001E for the first that has one; a newer one's is smaller. So this index is empty but for the
-- time after an upgrade, and costs an insert a comparison.
create index contacts_old_key_idx on contacts (user_id, id)
  where greatest(split_part(search, U&'\001f', 1), split_part(search, U&'\001f', 2), split_part(search, U&'\001f', 3),
    split_part(search, U&'\001f', 4)) >= U&'\001f';

-- The birthday calendar's digest reads this index alone, so it has all that an event shows. Not the version, which each change
-- of a contact raises: an update that leaves the indexed columns alone need not touch any index.
drop index contacts_birthday_idx;
create index contacts_birthday_idx on contacts (user_id, birthday_md) include (birthday, id, first_name, last_name)
  where birthday_md is not null;
