-- A new API token, unless its user has so many that live.
-- $1 user, $2 name, $3 digest, $4 whether it may write, $5 the days that it lives, $6 how many a user may have. Index: api_tokens_pkey.
insert into api_tokens (user_id, name, digest, may_write, expires_at)
select $1, $2, $3, $4, now() + make_interval(days => $5)
where (select count(*) from api_tokens where user_id = $1 and expires_at > now()) < $6::bigint
returning id, name, may_write, created_at, expires_at
