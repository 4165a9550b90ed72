-- The contacts that a user deleted after an instant, in the order of their ids, so that two who restore them lock them in one order.
-- $1 user, $2 the instant, exclusive, $3 how many the trash may hold. Index: trash_user_idx.
select array(
  select id
  from (
    select id from trash
    where user_id = $1 and deleted_at > greatest($2::timestamptz, now() - interval '30 days')
    order by deleted_at desc, id desc
    limit $3
  ) as latest
  order by id
)
