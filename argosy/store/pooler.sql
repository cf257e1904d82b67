-- name: backend
-- Which backend serves this statement: behind a proxy it is not the one that the connection was told of.
SELECT pg_backend_pid()

-- name: list_settings
-- What the session really runs with.
SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[])
