-- Who may ask, and what was done: tenants, API tokens, and the audit.
-- The last in the order of locks: ... -> erasures -> erasure_items -> identity_changes -> tenants -> tokens -> audit.

-- The number of the last write to tenants and tokens. One row, and the first that every such write takes: so they come one
-- after the other, and their numbers become visible in the order in which they are given out (functions/identity.sql).
CREATE TABLE identity_changes (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  no bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 50);
INSERT INTO identity_changes DEFAULT VALUES;

CREATE TABLE tenants (
  name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'), -- argosy/names.py
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
  created_at timestamptz NOT NULL DEFAULT now(),
  change_no bigint NOT NULL
);
CREATE UNIQUE INDEX tenants_by_change ON tenants (change_no);
INSERT INTO tenants (name, change_no) VALUES ('default', 1);

-- hash: SHA-256 of the token, which is stored nowhere. tenant: NULL: of the installation. scopes: beside those of the role.
-- sessions, workflows: patterns; NULL: of any. expires_at: NULL: never. replaced_by: by a rotation. change_no: of the last
-- write to it, each row's its own; last_used_at is written without one.
CREATE TABLE tokens (
  token_id uuid PRIMARY KEY,
  hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  tenant text COLLATE "C",
  name text NOT NULL CHECK (length(name) <= 200),
  role text CHECK (length(role) <= 64),
  scopes text[] NOT NULL CHECK (cardinality(scopes) <= 100 AND octet_length(array_to_string(scopes, '')) <= 10000),
  sessions text[] CHECK (cardinality(sessions) <= 100 AND octet_length(array_to_string(sessions, '')) <= 30000),
  workflows text[] CHECK (cardinality(workflows) <= 100 AND octet_length(array_to_string(workflows, '')) <= 30000),
  hint text NOT NULL CHECK (length(hint) <= 8),
  created_at timestamptz NOT NULL,
  created_by text NOT NULL CHECK (length(created_by) <= 400),
  expires_at timestamptz,
  revoked_at timestamptz,
  revoked_by text CHECK (length(revoked_by) <= 400),
  replaced_by uuid,
  last_used_at timestamptz,
  change_no bigint NOT NULL,
  CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX tokens_by_change ON tokens (change_no);
CREATE INDEX tokens_of_tenant ON tokens (coalesce(tenant, ''), token_id);
CREATE INDEX tokens_ended ON tokens (least(revoked_at, expires_at));

-- What somebody did, or was refused: see store/audit.py.
CREATE TYPE act AS (
  actor_kind text, actor_id text, token_id uuid, tenant text, action text, target text, outcome text, reason text, request_id text,
  source text
);

-- count: so many alike, of requests that were refused.
CREATE TABLE audit (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL,
  actor_kind text NOT NULL,
  actor_id text NOT NULL,
  token_id uuid,
  tenant text COLLATE "C",
  action text NOT NULL,
  target text NOT NULL,
  outcome text NOT NULL,
  reason text NOT NULL,
  request_id text NOT NULL,
  source text NOT NULL,
  count bigint NOT NULL CHECK (count > 0)
);
CREATE INDEX audit_of_tenant ON audit (tenant, no);
CREATE INDEX audit_by_time ON audit (at);
