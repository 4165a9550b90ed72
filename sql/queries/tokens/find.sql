-- An API token that counts, by its digest: its id, whether it may write, and whether it was used before.
-- $1 user, $2 digest. Indexes: api_tokens_pkey, users_pkey.
select t.id, t.may_write, t.first_used_at is not null
from api_tokens as t
join users as u on u.id = t.user_id
where t.user_id = $1 and t.digest = $2 and t.expires_at > now() and u.disabled_at is null
