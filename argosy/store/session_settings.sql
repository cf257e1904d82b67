-- name: complete_session
-- What a session cannot ask for as it begins: it depends on the server's version, or on what it finds. A commit that
-- waits for less than this server's disk and its synchronous standbys would make "accepted" a guess; more is welcome.
SELECT set_config('transaction_timeout', '0', false) WHERE current_setting('transaction_timeout', true) <> '0';
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')

-- name: list_settings
-- What a session really runs with.
SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[])
