drop index concurrently if exists sessions_age_idx;
-- What is too old, for housekeeping, which read all sessions each minute: of five million, 86,000 pages. Of the login's time, not of the
-- last use, which every refresh changes; in UTC for the same reason as trash_age_idx.
create index concurrently sessions_age_idx on sessions ((created_at at time zone 'UTC'));
drop index concurrently if exists api_tokens_age_idx;
create index concurrently api_tokens_age_idx on api_tokens ((expires_at at time zone 'UTC'));
-- A search reads an index alone only on pages that a vacuum has seen since they changed. By default it comes when a fifth of the table has
-- changed: after 120,000 updates one user's search read 19 times as many pages, and went on so, for that was a hundredth of the table.
alter table contacts set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1);
alter table trash set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);
alter table sessions set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);
alter table login_attempts set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);
alter table repeats set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);
alter table revocations set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1)
