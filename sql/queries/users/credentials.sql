-- What a password is checked against, and whether the user has a session that lives in this network.
-- $1 email in lower case, $2 network, $3 seconds that a session lives at most, $4 seconds that it lives unused.
-- Indexes: users_email_key, sessions_pkey.
select id, password_hash, disabled_at is not null as disabled, exists (
    select from sessions as s
    where s.user_id = u.id and $2 in (login_network, latest_network)
      and s.created_at > now() - make_interval(secs => $3) and s.last_used_at > now() - make_interval(secs => $4)
  ) as is_at_home
from users as u
where email = $1
