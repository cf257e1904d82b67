-- What was asked to be forgotten, how far that is, and what came of it; and which backups there are, which an erasure names.
-- The last in the order of locks: ... -> graphs (-> graph_moves) -> ingest_jobs -> ... -> ingest_waiters -> erasures -> erasure_items.

-- target: a session's name, a graph's, or a turn's id; NULL of a tenant, and once it is done: a receipt does not keep the
-- name that was to be forgotten. target_digest: of kind, lane and target. session_id: of a session, or of a turn.
-- stage: see workers/maintenance/erasing.py. cursor: how far the stage is. through_at: what was accepted until then goes.
CREATE TABLE erasures (
  erasure_id uuid PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  lane text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('session', 'tenant', 'graph', 'turn')),
  target text,
  target_digest bytea NOT NULL,
  session_id uuid,
  bucket smallint CHECK (bucket BETWEEN 0 AND 1023), -- of the session, turn or graph
  stage text NOT NULL DEFAULT 'reading' CHECK (stage IN ('reading', 'ending', 'graphs', 'turns', 'jobs', 'strays', 'log', 'done')),
  cursor text NOT NULL DEFAULT '',
  waits_for text NOT NULL DEFAULT '',
  through_at timestamptz,
  asked_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  CHECK ((ended_at IS NOT NULL) = (stage = 'done')),
  CHECK (through_at IS NOT NULL OR stage = 'reading')
);
CREATE INDEX erasures_of_tenant ON erasures (tenant, asked_at, erasure_id);
CREATE INDEX erasures_open ON erasures (asked_at, erasure_id) WHERE ended_at IS NULL;
CREATE INDEX erasures_ended ON erasures (ended_at) WHERE ended_at IS NOT NULL;

-- One line of a receipt. count: what was removed there. until: then it is gone from there, too; NULL and no count: it stays,
-- and somebody has to see to it.
CREATE TABLE erasure_items (
  erasure_id uuid NOT NULL,
  place text NOT NULL,
  what text NOT NULL,
  count bigint NOT NULL DEFAULT 0,
  until timestamptz,
  PRIMARY KEY (erasure_id, place, what)
);

-- Backups that were made of this installation, as far as anybody has said. gone_at: then it was deleted.
CREATE TABLE backups (
  backup_id uuid PRIMARY KEY,
  made_at timestamptz NOT NULL,
  place text NOT NULL,
  graphs integer NOT NULL,
  sha256 bytea NOT NULL, -- of its manifest
  gone_at timestamptz
);
CREATE INDEX backups_by_time ON backups (made_at);

-- Of a turn that was erased nothing is left but that it was here: its record may still be in the log, and a record that is
-- read again must find its turn. It is nobody's: it has no tenant and no session.
ALTER TABLE turns ADD COLUMN erased_at timestamptz;
