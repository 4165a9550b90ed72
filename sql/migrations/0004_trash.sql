-- Deleted contacts, for 30 days. A table of its own, so that the statements on contacts, their indexes and their counts know nothing
-- of it. A contact moves between the two by one statement.
create table trash (
  user_id bigint not null constraint trash_user_id_fkey references users on delete cascade,
  -- the contact's own id, which it gets back
  id bigint not null,
  first_name text not null,
  last_name text,
  email text,
  phone_number text,
  birthday date,
  additional_info text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version integer not null,
  -- the contact's own search key: one that an older folding made is made anew once the contact is back
  search text collate "C" not null,
  -- not now(), which is when a transaction began: one that waited would seem older than it is
  deleted_at timestamptz not null default clock_timestamp(),
  constraint trash_pkey primary key (user_id, id)
);

-- a user's trash, by time
create index trash_user_idx on trash (user_id, deleted_at, id);

-- What is older than 30 days, for housekeeping; new entries come at its end, which costs little. Of the time in UTC, for the planner
-- would take an index of deleted_at itself to sort one user's trash, and read everybody's.
create index trash_age_idx on trash ((deleted_at at time zone 'UTC'));
