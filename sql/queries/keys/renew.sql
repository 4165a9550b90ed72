-- New search keys for contacts that are still at the version that they were made from. The version stays: nothing that a client
-- sees has changed.
-- $1 user, $2 contacts, $3 versions, $4 search keys. Index: contacts_pkey.
update contacts as c
set search = new.search
from unnest($2::bigint[], $3::integer[], $4::text[]) as new (id, version, search)
where c.user_id = $1 and c.id = new.id and c.version = new.version and c.search <> new.search
