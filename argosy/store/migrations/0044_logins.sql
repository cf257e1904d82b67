-- Login sessions of the console. In the order of locks: ... -> identity_changes -> tenants -> tokens -> logins -> audit.

-- hash: SHA-256 of the secret in the cookie, which is stored nowhere. subject: of the principal. token_hash: of the token with
-- which it was made: the login has that token's rights, and ends with it. Without one it is of an issuer's user, with the
-- tenants and scopes that the issuer's token had. tenant: for which it acts unless a request names one. idle_until: written
-- now and then, without a change_no; who finds that it is over looks here before believing it.
CREATE TABLE logins (
  hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
  login_id uuid NOT NULL UNIQUE,
  subject text NOT NULL CHECK (length(subject) <= 1000),
  token_hash bytea CHECK (octet_length(token_hash) = 32),
  issuer text CHECK (length(issuer) <= 500),
  tenants text[] NOT NULL CHECK (cardinality(tenants) <= 1000 AND octet_length(array_to_string(tenants, '')) <= 63000),
  scopes text[] NOT NULL CHECK (cardinality(scopes) <= 100 AND octet_length(array_to_string(scopes, '')) <= 10000),
  tenant text COLLATE "C" CHECK (length(tenant) <= 63),
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  idle_until timestamptz NOT NULL,
  revoked_at timestamptz,
  change_no bigint NOT NULL,
  CHECK ((token_hash IS NULL) <> (issuer IS NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX logins_by_change ON logins (change_no);
CREATE INDEX logins_of_subject ON logins (subject, created_at);
CREATE INDEX logins_by_end ON logins (expires_at);
