-- Tenants that are deleted, and access tokens of issuers that are refused before they end.
-- The last in the order of locks: ... -> identity_changes -> tenants -> tokens -> revocations -> audit.

-- erasure_id: the tenant is being deleted, by this erasure, and the row goes with its end. To processes of the version before
-- it is suspended, and has no tokens.
ALTER TABLE tenants ADD COLUMN erasure_id uuid;

-- fenced_at: of the erasure of a tenant that is deleted: after this nothing comes any more that was let in before. NULL: of
-- anything else.
ALTER TABLE erasures ADD COLUMN fenced_at timestamptz;

-- Access tokens that were issued before a moment: of a subject of an issuer, or of a tenant, whoever issued them ('': none).
-- expires_at: then they have all ended by themselves.
CREATE TABLE revocations (
  issuer text COLLATE "C" NOT NULL CHECK (length(issuer) <= 2000),
  subject text COLLATE "C" NOT NULL CHECK (length(subject) <= 255),
  tenant text COLLATE "C" NOT NULL,
  before timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  change_no bigint NOT NULL,
  PRIMARY KEY (issuer, subject, tenant),
  CHECK ((tenant = '') <> (subject = ''))
);
CREATE UNIQUE INDEX revocations_by_change ON revocations (change_no);
CREATE INDEX revocations_by_end ON revocations (expires_at);
