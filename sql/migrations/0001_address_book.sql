-- The address book. Everything of a user is keyed by user_id first, so that the tables can be spread over nodes by it
-- without a change in the queries, and goes with the user by cascade.

create table users (
  id bigint generated always as identity primary key,
  username text not null,
  -- trimmed and in lower case, so that one address is one account however it is typed
  email text not null constraint users_email_key unique,
  -- a PHC string: the parameters are in it, so they can be raised later
  password_hash text not null,
  created_at timestamptz not null default now(),
  -- set by the operator; a disabled user can neither log in nor refresh
  disabled_at timestamptz
);

create table contacts (
  user_id bigint not null constraint contacts_user_id_fkey references users on delete cascade,
  -- unique over all users, so that an id tells nothing and never means two things
  id bigint generated always as identity,
  first_name text not null,
  last_name text,
  email text,
  phone_number text,
  birthday date,
  additional_info text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- counts the writes: the ETag. Not the time of the last one, for two writes can share a microsecond
  version integer not null default 1,
  -- first name, last name, e-mail and the phone's digits, folded by the program (src/domain/fold.rs), with U+001F between them.
  -- The program folds rather than the database, whose lower() depends on its locale
  search text collate "C" not null,
  -- month and day as one number (28 February is 228), so that a window of birthdays is a range of it
  birthday_md smallint generated always as (extract(month from birthday) * 100 + extract(day from birthday)) stored,
  -- search is in the key's index, so that a search reads that index alone and touches rows only for its hits. A trigram
  -- index was refused: inserts take three times as long, and one user's search pays for everybody's contacts
  constraint contacts_pkey primary key (user_id, id) include (search)
);

-- upcoming birthdays: a range or two of one user's entries, never a scan; contacts without a birthday take no room in it
create index contacts_birthday_idx on contacts (user_id, birthday_md) where birthday_md is not null;

create table sessions (
  user_id bigint not null constraint sessions_user_id_fkey references users on delete cascade,
  id bigint generated always as identity,
  -- which refresh token counts: each refresh adds one. A token is a signed (session, generation), so no secret is kept here
  generation integer not null default 1,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  -- when the generation was last raised: the one before it counts for some seconds more
  rotated_at timestamptz not null default now(),
  -- for the person who looks through their sessions
  user_agent text,
  ip text,
  primary key (user_id, id)
);

-- Sessions that ended lately. Access tokens are checked without the database, so every instance keeps this list in memory
-- and asks for what is new. No reference to users: it must outlive them by the life of an access token.
create table revocations (
  session_id bigint primary key,
  revoked_at timestamptz not null default clock_timestamp()
);

create index revocations_revoked_at_idx on revocations (revoked_at);

-- Failed logins of an account, failed logins and sign-ups from an address, within the last quarter of an hour. Unlogged: each
-- login writes here twice and need not wait for the disk; what is lost is a quarter of an hour's counts, when Postgres crashes.
create unlogged table attempts (
  -- a digest of the account's e-mail or of the address: people type passwords where the e-mail belongs
  subject bytea primary key,
  -- the times, oldest first, never more than the limit that was in force
  at timestamptz[] not null,
  -- whether the last who asked got through: set and returned by one statement
  granted boolean not null
);

-- The secret address of a user's birthday calendar.
create table calendars (
  user_id bigint primary key constraint calendars_user_id_fkey references users on delete cascade,
  -- SHA-256 of the secret: who reads this table cannot subscribe
  secret_hash bytea not null constraint calendars_secret_hash_key unique
);
