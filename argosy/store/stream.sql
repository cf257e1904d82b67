-- name: open_stream
-- A worker's stream begins at 0. Answers what time it is.
INSERT INTO flush_streams (worker_id, stream) VALUES ($1, $2) RETURNING clock_timestamp()

-- name: close_stream
-- The worker is gone in an orderly way; nobody will repeat a call of it.
DELETE FROM flush_streams WHERE worker_id = $1 AND stream = $2

-- name: end_blockers
-- End the backends of this stream's lost connections: their client will never hear them.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename = current_user AND pid <> pg_backend_pid() AND datname = current_database()
  AND application_name = format('argosy %s %s', CASE $2::integer WHEN 1 THEN 'accept' ELSE 'flush' END, $1::uuid)
