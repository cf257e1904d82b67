-- Limits of tenants that hold for all gateways together (functions/limits.sql), and a tenant's own ones.
-- The last in the order of locks: ... -> audit -> limit_gateways -> limit_levels -> limit_streams.

-- What is not among them is as the settings of gateways say.
ALTER TABLE tenants ADD COLUMN limits jsonb CHECK (octet_length(limits::text) <= 2000);

-- How much a tenant sent to turns that are not here is counted (functions/early.sql).
CREATE INDEX early_of_tenant ON early (tenant);

-- What a crash of the server takes along is good for a burst: none of these is logged.
CREATE UNLOGGED TABLE limit_gateways (
  gateway_id uuid PRIMARY KEY,
  seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);
-- What is left of a rate, and how much was asked for lately, at a time. No row: all is left.
CREATE UNLOGGED TABLE limit_levels (
  tenant text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  level double precision NOT NULL,
  asked double precision NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant, kind)
) WITH (fillfactor = 50);
-- How many streams each gateway may have open of a tenant.
CREATE UNLOGGED TABLE limit_streams (
  tenant text COLLATE "C" NOT NULL,
  gateway_id uuid NOT NULL,
  allowed bigint NOT NULL,
  PRIMARY KEY (tenant, gateway_id)
) WITH (fillfactor = 50);
CREATE INDEX limit_streams_of_gateway ON limit_streams (gateway_id);
