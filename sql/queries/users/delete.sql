-- Deletes a user and, by cascade, every row of theirs; the sessions that end with them.
-- $1 user. Indexes: sessions_pkey, users_pkey.
with gone as (
  delete from users where id = $1 returning id
)
select array(select id from sessions where user_id = $1), exists (select from gone)
