-- A new session of a user who is not disabled and whose password is still the one that was checked.
-- $1 user, $2 user agent, $3 address, $4 the password hash. No row where that is so no more. The lock makes a change of the
-- password, or a lock-out, that is under way come first: it ends the sessions that there are, and must not miss this one.
-- A user has at most so many sessions: those that were used least recently end, and are returned. Logins at the same moment do
-- not see each other's, so each of them may leave one more until the next login.
-- $5 how many sessions may stay beside the new one. Indexes: users_pkey, sessions_pkey.
with begun as (
  insert into sessions (user_id, user_agent, ip)
  select id, $2, $3 from users where id = $1 and disabled_at is null and password_hash = $4
  for share
  returning id, generation, created_at
), ended as (
  delete from sessions
  where user_id = $1 and exists (select from begun)
    and id in (select id from sessions where user_id = $1 order by last_used_at desc, id desc offset $5)
  returning id
), revoked as (
  insert into revocations (session_id) select id from ended on conflict do nothing
)
select id, generation, created_at, array(select id from ended) from begun
