-- Deletes a user and, by cascade, every row of theirs; their sessions' access tokens die with them.
-- $1 user. Indexes: sessions_pkey, users_pkey.
with ended as (
  insert into revocations (session_id)
  select id from sessions where user_id = $1
  on conflict do nothing
  returning session_id
), gone as (
  delete from users where id = $1 returning id
)
select array(select session_id from ended), exists (select from gone)
