-- Keys of tenants: argosy/store/tenant_key.py.
-- In the order of locks after the tables of identity.

-- digest: not for sealing, but for digests of requests; never replaced, so that repetitions are recognised. wrapped, master:
-- NULL once it was destroyed: nothing that it sealed opens any more, and its number is given to no other.
CREATE TABLE tenant_keys (
  tenant text COLLATE "C" NOT NULL,
  key_id integer NOT NULL CHECK (key_id > 0),
  digest boolean NOT NULL DEFAULT false,
  master text CHECK (length(master) <= 64),
  wrapped bytea CHECK (octet_length(wrapped) <= 16384),
  created_at timestamptz NOT NULL DEFAULT now(),
  destroyed_at timestamptz,
  PRIMARY KEY (tenant, key_id),
  CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL) AND (wrapped IS NULL) = (master IS NULL))
);
