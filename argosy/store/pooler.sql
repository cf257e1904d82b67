-- name: backend
-- Which backend serves this statement: behind a proxy it is not the one that the connection was told of.
SELECT pg_backend_pid()
