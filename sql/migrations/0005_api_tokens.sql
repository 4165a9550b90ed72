-- Tokens for scripts. A token counts only while its row is here, so a new secret that signs sessions' tokens, a restore from a backup and
-- a revocation all come out right.
create table api_tokens (
  user_id bigint not null constraint api_tokens_user_id_fkey references users on delete cascade,
  -- random, as of sessions: an id never means another token
  id bigint not null default greatest(1, hashtextextended(gen_random_uuid()::text, 0) & 9007199254740991),
  name text not null,
  -- SHA-256 of the token: who reads this table can use none. A token names its user, who has few, so it needs no index of its own
  digest bytea not null,
  -- its scope: whether it may write, or only read
  may_write boolean not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  -- the first use, which is logged
  first_used_at timestamptz,
  constraint api_tokens_pkey primary key (user_id, id)
);
