-- The layout for Citus: everything of a user on one node, users and revocations on each. As the owner of the tables, once and right after
-- `contactd migrate`, on the coordinator of a database with the extension. Then run contactd with MAX_BATCH=1, so that each statement is
-- about one user. Attempts stay on the coordinator, and what goes through all nodes is housekeeping, the operator's own commands, and a
-- calendar whose address was made before addresses named their user.

-- An identity column cannot join by way of its references, so they come back at the end.
alter table contacts drop constraint contacts_user_id_fkey;
alter table trash drop constraint trash_user_id_fkey;
alter table sessions drop constraint sessions_user_id_fkey;
alter table api_tokens drop constraint api_tokens_user_id_fkey;
alter table repeats drop constraint repeats_user_id_fkey;
alter table calendars drop constraint calendars_user_id_fkey;
-- What is unique must hold the user; the digest of 256 random bits needs no constraint. Its index stays.
alter table calendars drop constraint calendars_secret_hash_key;
create index calendars_secret_hash_key on calendars (secret_hash);

select create_reference_table('users');
select create_reference_table('revocations');
select create_distributed_table('contacts', 'user_id');
select create_distributed_table('trash', 'user_id', colocate_with => 'contacts');
select create_distributed_table('sessions', 'user_id', colocate_with => 'contacts');
select create_distributed_table('api_tokens', 'user_id', colocate_with => 'contacts');
select create_distributed_table('repeats', 'user_id', colocate_with => 'contacts');
select create_distributed_table('calendars', 'user_id', colocate_with => 'contacts');

alter table contacts add constraint contacts_user_id_fkey foreign key (user_id) references users on delete cascade;
alter table trash add constraint trash_user_id_fkey foreign key (user_id) references users on delete cascade;
alter table sessions add constraint sessions_user_id_fkey foreign key (user_id) references users on delete cascade;
alter table api_tokens add constraint api_tokens_user_id_fkey foreign key (user_id) references users on delete cascade;
alter table repeats add constraint repeats_user_id_fkey foreign key (user_id) references users on delete cascade;
alter table calendars add constraint calendars_user_id_fkey foreign key (user_id) references users on delete cascade;

-- Which node a statement goes to depends on its user, so it is planned with the user.
do $$
begin
  execute format('alter database %I set plan_cache_mode = force_custom_plan', current_database());
end
$$;
