-- name: server_facts
-- What decides whether a commit is durable here.
SELECT current_setting('server_version_num')::integer AS version, pg_is_in_recovery() AS in_recovery,
       current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('default_transaction_read_only') AS read_only,
       (SELECT setting::integer FROM pg_settings WHERE name = 'temp_file_limit') AS temp_file_limit_kb

-- name: async_standbys
-- Standbys that may lack the last commits.
SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'async'
