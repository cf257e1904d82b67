-- name: lock
-- As a migration: of two that change the rights to one object at once, PostgreSQL refuses one. For this transaction.
SELECT pg_advisory_xact_lock($1)

-- name: has_role
-- Whether there is this role.
SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)

-- name: is_owner
-- Whether grants mean nothing to this role: it is a superuser, or owns what it would be granted, or may become the owner.
SELECT r.rolsuper OR pg_has_role(r.oid, n.nspowner, 'MEMBER')
FROM pg_roles AS r, pg_namespace AS n WHERE r.rolname = $1 AND n.nspname = 'argosy'

-- name: list_fleet_grants
-- Statements that give a role what the fleet needs, and take what it has beyond that: it reads and writes rows, adds to the
-- audit, and looks at what was migrated. What later migrations make, it may use as well.
SELECT format(s.text, $1::text)
FROM (VALUES
  (1, 'GRANT USAGE ON SCHEMA argosy TO %I'),
  (2, 'REVOKE CREATE ON SCHEMA argosy FROM %I'),
  (3, 'REVOKE ALL ON ALL TABLES IN SCHEMA argosy FROM %I'),
  (4, 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA argosy TO %I'),
  (5, 'REVOKE INSERT, UPDATE, DELETE ON argosy.migrations, argosy.expansions FROM %I'),
  (6, 'REVOKE UPDATE, DELETE ON argosy.audit FROM %I'),
  (7, 'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA argosy TO %I'),
  (8, 'GRANT EXECUTE ON ALL ROUTINES IN SCHEMA argosy TO %I'),
  (9, 'ALTER DEFAULT PRIVILEGES IN SCHEMA argosy GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I'),
  (10, 'ALTER DEFAULT PRIVILEGES IN SCHEMA argosy GRANT USAGE, SELECT ON SEQUENCES TO %I'),
  (11, 'ALTER DEFAULT PRIVILEGES IN SCHEMA argosy GRANT EXECUTE ON ROUTINES TO %I')
) AS s (no, text)
ORDER BY s.no

-- name: list_maintenance_grants
-- Statements that give a role what `argosy maintain` needs beside that: retention deletes rows of the audit.
SELECT format('GRANT DELETE ON argosy.audit TO %I', $1::text)
