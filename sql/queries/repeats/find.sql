-- What a request with this key was answered, and whether it was the same request.
-- $1 user, $2 key, $3 fingerprint. Index: repeats_pkey.
select fingerprint = $3, etag, location, body
from repeats
where user_id = $1 and key = $2 and made_at > now() - interval '24 hours'
