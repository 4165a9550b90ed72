-- Keeps an answer. A user has at most so many: the oldest give way. A row of the same key is older than a day.
-- $1 user, $2 key, $3 fingerprint, $4 ETag, $5 Location, $6 body, $7 how many may stay beside it. Indexes: repeats_pkey, repeats_user_idx.
with given_way as (
  delete from repeats
  where user_id = $1 and key in (
    select key from repeats where user_id = $1 and key <> $2 order by made_at desc offset $7
  )
)
insert into repeats (user_id, key, fingerprint, etag, location, body)
values ($1, $2, $3, $4, $5, $6)
on conflict (user_id, key) do update
set fingerprint = excluded.fingerprint, etag = excluded.etag, location = excluded.location, body = excluded.body,
  made_at = excluded.made_at
