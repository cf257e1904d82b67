-- name: lock
-- One process migrates at a time; the lock goes with the connection.
SELECT pg_advisory_lock($1)

-- name: create_table
-- What was applied, with what it was.
CREATE SCHEMA IF NOT EXISTS argosy;
CREATE TABLE IF NOT EXISTS argosy.migrations (
  name text PRIMARY KEY,
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: has_table
-- Whether anything was ever applied.
SELECT to_regclass('argosy.migrations') IS NOT NULL

-- name: list_migrations
-- What was applied.
SELECT name, checksum FROM argosy.migrations

-- name: count_living
-- Workers that were heard of in the last seconds.
SELECT count(*) FROM argosy.heartbeats WHERE at > now() - make_interval(secs => $1)

-- name: raise_restores
-- History forked: what is numbered from now on is never taken for what was numbered before the restore.
-- See migrations/0008_restores.sql.
UPDATE argosy.lineages SET restores =
  greatest(restores + 1, least(extract(epoch FROM now() - timestamptz '2026-01-01 00:00:00Z')::bigint / 120, 4100000))

-- name: insert_migration
-- In the transaction of the migration itself.
INSERT INTO argosy.migrations (name, checksum) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = now()
