-- Accounts that survive attackers and restores.

-- Ids of users and sessions are in tokens, so none may ever mean somebody else. A sequence gave the same numbers again after the
-- database was restored from a backup, and an old token then opened a new account. So they are drawn at random, from 1 to 2^53 - 1,
-- the integers that every JSON reader keeps exact. Rows that exist keep their ids. The default draws, not the program, so that it
-- holds for every row whoever makes it, an instance of the release before included; a draw that is taken is made again.
alter table users alter column id drop identity;
alter table users alter column id
  set default greatest(1, hashtextextended(gen_random_uuid()::text, 0) & 9007199254740991);
alter table sessions alter column id drop identity;
alter table sessions alter column id
  set default greatest(1, hashtextextended(gen_random_uuid()::text, 0) & 9007199254740991);

-- The networks of the login and of the latest refresh, as numbers (src/http/budget.rs): from these the owner gets in while guesses
-- from elsewhere keep the account closed. Unknown for older sessions until their next refresh.
alter table sessions add column login_network bigint, add column latest_network bigint;

-- Attempts at passwords, with the network that each came from, in place of the table attempts. (That one stays for instances of the
-- release before, and is for a later step to drop.) An attempt counts until a time, not from one: while its password is being
-- checked for some seconds, as a failure for a quarter of an hour. So one that is never judged, since the database or the program
-- failed, is no failure. Unlogged: each login writes here twice and need not wait for the disk; what is lost is a quarter of an
-- hour's counts, when Postgres crashes.
create unlogged table login_attempts (
  -- a digest of an account's e-mail or of a network: people type passwords where the e-mail belongs
  subject bytea primary key,
  -- until when each attempt counts
  until timestamptz[] not null,
  -- the network that each came from, in the same order
  network bigint[] not null,
  -- whether the last who asked got through: set and returned by one statement
  granted boolean not null
);
