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

-- name: insert_migration
-- In the transaction of the migration itself.
INSERT INTO argosy.migrations (name, checksum) VALUES ($1, $2)
