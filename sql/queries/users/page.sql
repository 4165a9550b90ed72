-- A page of all users by their addresses, for the operator; each with when a session that is still there was last used.
-- $1 the last address of the page before. Indexes: users_email_key, sessions_pkey.
select id, username, email, created_at,
  (select max(last_used_at) from sessions where user_id = u.id) as last_used_at,
  disabled_at is not null as is_disabled
from users as u
where email > $1
order by email
limit 1000
