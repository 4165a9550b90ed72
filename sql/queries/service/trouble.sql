-- Why the program cannot work on this database; null if it can. Privileges of tables that are missing are an error (42P01).
select case
    when pg_is_in_recovery() then 'it is a standby'
    when current_setting('transaction_read_only')::boolean then 'it is read-only'
    when not (
        select bool_and(has_table_privilege(name, privilege))
        from unnest(array['users', 'sessions', 'revocations', 'contacts', 'trash', 'api_tokens', 'repeats', 'calendars', 'login_attempts']) as name,
             unnest(array['select', 'insert', 'update', 'delete']) as privilege
    ) then 'the role lacks rights on its tables'
end
