-- A new session. A user has at most so many: those that were used least recently end, and are returned, to be revoked.
-- $1 user, $2 user agent, $3 address, $4 network, $5 how many sessions may stay beside the new one. Index: sessions_pkey.
with begun as (
  insert into sessions (user_id, user_agent, ip, login_network) values ($1, $2, $3, $4)
  returning id, generation, created_at
), ended as (
  delete from sessions
  where user_id = $1 and id in (select id from sessions where user_id = $1 order by last_used_at desc, id desc offset $5)
  returning id
)
select id, generation, created_at, array(select id from ended) from begun
