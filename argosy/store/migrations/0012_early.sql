-- What is sent to a turn that is not here yet. Nobody can say whose that turn will be (an id has 16 bits of its tenant), so
-- it waits apart from the inbox, by tenant, and the accept that brings the turn decides (functions/early.sql).
-- The last in the order of locks: ... -> inbox -> early.
CREATE TABLE early (
  inbox_id uuid PRIMARY KEY,
  lane text NOT NULL,
  bucket smallint NOT NULL,
  tenant text NOT NULL,
  turn_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('signal', 'cancel')),
  name text NOT NULL,
  request_id text NOT NULL,
  payload bytea,
  sent_at timestamptz NOT NULL DEFAULT now()
);
-- I7 in the schema, as inbox_once: a repeated request is one row; and another tenant's is not this one's.
CREATE UNIQUE INDEX early_once ON early (turn_id, tenant, kind, name, request_id);
CREATE INDEX early_by_time ON early (lane, sent_at);
