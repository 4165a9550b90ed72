-- A user's API tokens that live, the latest first.
-- $1 user. Index: api_tokens_pkey.
select id, name, may_write, created_at, expires_at
from api_tokens
where user_id = $1 and expires_at > now()
order by created_at desc, id desc
