-- Requests with an Idempotency-Key, and what they were answered. A row is written in the transaction that makes the contacts, so both
-- are there or neither.
create table repeats (
  user_id bigint not null constraint repeats_user_id_fkey references users on delete cascade,
  key text not null,
  -- SHA-256 of method, path, query, type and body: the same key with another request is a mistake of the client's
  fingerprint bytea not null,
  -- the answer; its status follows from the method and the path
  etag text,
  location text,
  body bytea not null,
  made_at timestamptz not null default clock_timestamp(),
  constraint repeats_pkey primary key (user_id, key)
);

-- a user's keys by time, of which the oldest give way
create index repeats_user_idx on repeats (user_id, made_at, key);

-- what is older than a day, for housekeeping; in UTC for the same reason as trash_age_idx
create index repeats_age_idx on repeats ((made_at at time zone 'UTC'));
