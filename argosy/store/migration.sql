-- name: lock
-- One process migrates at a time; the lock goes with the connection.
SELECT pg_advisory_lock($1)

-- name: create_table
-- What was applied, with what it was. `expansions`: what the version before may start beside, though it does not know it.
CREATE SCHEMA IF NOT EXISTS argosy;
CREATE TABLE IF NOT EXISTS argosy.migrations (
  name text PRIMARY KEY,
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS argosy.expansions (
  name text PRIMARY KEY,
  checksum text NOT NULL,
  expands_from text NOT NULL, -- of the version that applied it
  applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: has_table
-- Whether anything was ever applied.
SELECT to_regclass('argosy.migrations') IS NOT NULL

-- name: has_expansions
-- Whether a version that knows expansions ever applied anything.
SELECT to_regclass('argosy.expansions') IS NOT NULL

-- name: settle_expansions
-- What versions before this one added is what they start with: from now on it stands where those before them look.
WITH settled AS (DELETE FROM argosy.expansions WHERE expands_from < $1 RETURNING name, checksum, applied_at)
INSERT INTO argosy.migrations AS m (name, checksum, applied_at)
SELECT name, checksum, applied_at FROM settled
ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at
WHERE m.applied_at <= excluded.applied_at

-- name: list_migrations
-- What was applied but for expansions.
SELECT name, checksum FROM argosy.migrations

-- name: list_applied
-- What was applied, but for the expansions of later versions. Of a name in both tables, what was applied last is there.
SELECT DISTINCT ON (name) name, checksum
FROM (SELECT name, checksum, applied_at, 0 AS nth FROM argosy.migrations
      UNION ALL SELECT name, checksum, applied_at, 1 FROM argosy.expansions WHERE expands_from <= $1) AS applied
ORDER BY name, applied_at DESC, nth DESC

-- name: count_living
-- Processes of every kind that were heard of in the last seconds. A server that has just been restored or started makes
-- nobody living here: only what was heard counts.
SELECT count(*) FROM argosy.signs_of_life WHERE heard_s <= $1

-- name: raise_restores
-- History forked: what is numbered from now on is never taken for what was numbered before the restore.
-- See migrations/0008_restores.sql.
UPDATE argosy.lineages SET restores =
  greatest(restores + 1, least(extract(epoch FROM now() - timestamptz '2026-01-01 00:00:00Z')::bigint / 120, 4100000))

-- name: revoke_restored
-- With raise_restores: the database has forgotten which tokens were revoked since its backup, so all of them end.
SELECT argosy.revoke_all_tokens(
  ('local', 'restore', NULL, NULL, 'tokens.revoke_all', '', 'done', 'the database was restored from a backup', '', '')::argosy.act)

-- name: audit_restored
-- In the same transaction, whatever becomes of tokens.
SELECT argosy.add_audit(('local', 'restore', NULL, NULL, 'restore', '', 'done', $1::text, '', '')::argosy.act, 1)

-- name: insert_migration
-- In the transaction of the migration itself.
INSERT INTO argosy.migrations (name, checksum) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = now()

-- name: insert_expansion
-- As insert_migration, where the version before does not look.
INSERT INTO argosy.expansions (name, checksum, expands_from) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET
  checksum = excluded.checksum, expands_from = excluded.expands_from, applied_at = now()
