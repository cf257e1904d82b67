-- The spine: turns, their history, their inbox, and who owns what.
--
-- The order in which every statement and function takes locks, keys ascending:
--   stream -> partitions (advisory) -> places (advisory) -> positions -> sessions -> turns -> events -> inbox
-- No foreign keys on the hot tables: a flush writes events and inbox rows only for turns that it updated in the same
-- transaction, which is what a foreign key would check again, row by row.

-- lineage: grows whenever history may have forked, so that nothing numbered before can be taken for something after.
-- The server's timeline grows with every promotion; `restores` is raised by hand after a restore that kept the timeline.
CREATE TABLE lineages (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  restores integer NOT NULL DEFAULT 0 CHECK (restores BETWEEN 0 AND 2047)
);
INSERT INTO lineages DEFAULT VALUES;

CREATE FUNCTION lineage() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (restores::bigint << 20) | ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
  FROM lineages
$$;

CREATE TABLE workers (
  worker_id uuid PRIMARY KEY,
  kind text NOT NULL,
  lane text NOT NULL,
  build text NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  address text NOT NULL,
  metrics_port integer NOT NULL,
  slots integer NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE heartbeats (
  worker_id uuid PRIMARY KEY REFERENCES workers ON DELETE CASCADE,
  at timestamptz NOT NULL DEFAULT now(),
  draining boolean NOT NULL DEFAULT false,
  in_flight integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- What the fleet can run, or could: the gateway refuses names that no worker ever registered.
CREATE TABLE workflows (
  lane text NOT NULL,
  name text NOT NULL,
  version text NOT NULL,
  build text NOT NULL,
  description text NOT NULL DEFAULT '',
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (lane, name, version)
);

CREATE TABLE partitions (
  lane text NOT NULL,
  partition integer NOT NULL CHECK (partition >= 0),
  epoch bigint NOT NULL CHECK (epoch > 0),
  owner uuid,
  address text,
  claimed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (lane, partition)
);

-- A position belongs to a log, not to a name: a topic made again is another log.
CREATE TABLE positions (
  log_id text NOT NULL,
  partition integer NOT NULL,
  lane text NOT NULL,
  position bigint NOT NULL CHECK (position >= 0),
  -- Every record appended before this moment is in `turns` (or in `dead_letters`).
  accepted_through timestamptz NOT NULL DEFAULT '-infinity',
  PRIMARY KEY (log_id, partition)
) WITH (fillfactor = 50);

CREATE TABLE dead_letters (
  log_id text NOT NULL,
  partition integer NOT NULL,
  position bigint NOT NULL,
  lane text NOT NULL,
  value bytea NOT NULL,
  code text NOT NULL,
  reason text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (log_id, partition, position)
);
CREATE INDEX dead_letters_by_time ON dead_letters (lane, at, log_id, partition, position);

CREATE TABLE sessions (
  session_id uuid PRIMARY KEY,
  tenant text NOT NULL,
  lane text NOT NULL,
  bucket smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sessions_by_time ON sessions (tenant, lane, created_at, session_id);

-- A session's turns run in the order of `place`. One sequence for all: it grows across owners, logs and partition
-- counts, and costs no counter row. A delayed turn gets its place when it falls due; a turn that never waits
-- (rejected, duplicate) has none.
CREATE SEQUENCE places;

CREATE TABLE turns (
  turn_id uuid PRIMARY KEY,
  tenant text NOT NULL,
  lane text NOT NULL,
  bucket smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023),
  session_id uuid NOT NULL,
  place bigint,
  workflow text NOT NULL,
  version text,
  status text NOT NULL,
  attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
  crashes smallint NOT NULL DEFAULT 0 CHECK (crashes >= 0),
  seq integer NOT NULL DEFAULT 0 CHECK (seq >= 0),
  priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN -100 AND 100),
  on_busy text NOT NULL CHECK (on_busy IN ('enqueue', 'reject')),
  not_before timestamptz,
  deadline_s double precision CHECK (deadline_s > 0),
  idempotency_key text,
  request_digest bytea,
  duplicate_of uuid,
  tags bytea,
  traceparent text,
  input bytea,
  result bytea,
  error bytea,
  waits bytea,
  reason text,
  accepted_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  ended_at timestamptz,
  CHECK (status IN ('queued', 'running', 'suspended', 'parked',
                    'completed', 'failed', 'cancelled', 'expired', 'rejected', 'merged', 'duplicate')),
  CHECK ((ended_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled', 'expired', 'rejected', 'merged', 'duplicate'))),
  CHECK ((duplicate_of IS NOT NULL) = (status IN ('merged', 'duplicate'))),
  CHECK (status NOT IN ('running', 'suspended', 'parked') OR place IS NOT NULL),
  CHECK (status <> 'suspended' OR waits IS NOT NULL)
) WITH (fillfactor = 80);

-- I2 in the schema: a session is held by one turn at the most.
CREATE UNIQUE INDEX turns_held ON turns (session_id) WHERE status IN ('running', 'suspended', 'parked');
-- The heads: what is not ended, in order, session by session, bucket by bucket.
CREATE INDEX turns_open ON turns (lane, bucket, session_id, place)
  WHERE status IN ('queued', 'running', 'suspended', 'parked') AND place IS NOT NULL;
CREATE UNIQUE INDEX turns_once ON turns (session_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- A session's turns as a client lists them.
CREATE INDEX turns_of_session ON turns (session_id, accepted_at, turn_id);
CREATE INDEX turns_parked ON turns (tenant, lane, turn_id) WHERE status = 'parked';

CREATE TABLE events (
  turn_id uuid NOT NULL,
  seq integer NOT NULL CHECK (seq > 0),
  lineage bigint NOT NULL,
  attempt integer NOT NULL,
  type text NOT NULL,
  key text NOT NULL DEFAULT '',
  data bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (turn_id, seq)
);
-- I3 in the schema: an outcome is recorded once.
CREATE UNIQUE INDEX events_once ON events (turn_id, key)
  WHERE type IN ('step.completed', 'step.failed', 'wait.completed', 'wait.timed_out', 'value.recorded');

-- Rows addressed to turns. due: to be looked at from due_at on; buffered: a signal that came before anybody waited for
-- it; consumed: took effect, in the same transaction; late: met a turn that had ended. A timer that is not needed any
-- more is deleted.
CREATE TABLE inbox (
  inbox_id uuid PRIMARY KEY,
  lane text NOT NULL,
  bucket smallint NOT NULL,
  tenant text NOT NULL,
  session_id uuid,
  turn_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('signal', 'cancel', 'resume', 'timer')),
  name text NOT NULL DEFAULT '',
  correlation text NOT NULL DEFAULT '',
  request_id text,
  payload bytea,
  state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'buffered', 'consumed', 'late')),
  due_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX inbox_due ON inbox (lane, due_at, bucket) WHERE state = 'due';
CREATE INDEX inbox_of_turn ON inbox (turn_id);
-- I7 in the schema: a repeated request is one row.
CREATE UNIQUE INDEX inbox_once ON inbox (turn_id, kind, name, request_id) WHERE request_id IS NOT NULL;

-- What an accept or a flush answers; kept with the stream, so that the same flush sent again gets the same answer.
--   held:    per partition of the call: its fence (and, for an accept, its position) held and its rows were written
--   applied: per turn of a flush: its row was as expected and was written; NULL when all were
--   places:  per record of an accept: its place; NULL for one that does not wait (known, duplicate, rejected, delayed)
--   heads:   per record of an accept: nothing of its session stood before it when the accept was made
CREATE TYPE flush_answer AS (
  lineage bigint, at timestamptz, held boolean[], applied boolean[], places bigint[], heads boolean[]
);

CREATE TABLE flush_streams (
  worker_id uuid NOT NULL,
  stream smallint NOT NULL CHECK (stream IN (1, 2)), -- 1: accepts, 2: the rest
  no bigint NOT NULL DEFAULT 0,
  answer flush_answer,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (worker_id, stream)
) WITH (fillfactor = 50);
