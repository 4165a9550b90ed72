-- Deletes from a user's trash for good: one contact, or all. The number of those that were still to be seen.
-- $1 user, $2 contact, null for all. Index: trash_pkey.
with gone as (
  delete from trash where user_id = $1 and ($2::bigint is null or id = $2) returning deleted_at
)
select count(*) from gone where deleted_at > now() - interval '30 days'
