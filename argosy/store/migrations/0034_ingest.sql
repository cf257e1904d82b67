-- Jobs of ingest: what was uploaded into a graph, how far the graph's own file is with it, and which lines were refused.
-- The file has the last word on what was applied; a row here says what it had when it was last asked.
-- The last in the order of locks: ... -> early -> starts -> shards -> graphs (-> graph_moves) -> ingest_jobs -> ingest_rejects ->
-- ingest_events -> ingest_waiters. (Who ends a job writes to the inbox of the turns that wait for it. No writer of the inbox holds a job.)

-- received_: what gateways had acknowledged by the log log_id, without a hole. Of another log nothing was received.
-- end_: of the whole upload; NULL: it is not whole yet.
-- next_, applied, rejected: what the graph's file had. rejects_kept: rows in ingest_rejects.
-- waits_for: '' | shard | operator | room | upload.
CREATE TABLE ingest_jobs (
  job_id uuid PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  graph text COLLATE "C" NOT NULL,
  incarnation uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('upload', 'topic')),
  bucket smallint NOT NULL CHECK (bucket BETWEEN 0 AND 1023), -- of the graph
  idempotency_key text,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
  code text NOT NULL DEFAULT '',
  reason text NOT NULL DEFAULT '',
  log_id text NOT NULL,
  received_line bigint NOT NULL DEFAULT 0,
  received_chain bytea NOT NULL DEFAULT '\x00000000000000000000000000000000',
  received_bytes bigint NOT NULL DEFAULT 0,
  received_at timestamptz NOT NULL DEFAULT now(),
  end_line bigint,
  end_chain bytea,
  next_line bigint NOT NULL DEFAULT 1,
  next_chain bytea NOT NULL DEFAULT '\x00000000000000000000000000000000',
  applied bigint NOT NULL DEFAULT 0,
  rejected bigint NOT NULL DEFAULT 0,
  rejects_kept integer NOT NULL DEFAULT 0,
  rate_lines_s double precision NOT NULL DEFAULT 0,
  waits_for text NOT NULL DEFAULT '',
  seq integer NOT NULL DEFAULT 0,
  made_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  CHECK ((ended_at IS NOT NULL) = (state <> 'running')),
  CHECK ((end_line IS NULL) = (end_chain IS NULL))
) WITH (fillfactor = 50);
CREATE INDEX ingest_jobs_of_graph ON ingest_jobs (tenant, graph, made_at, job_id);
CREATE INDEX ingest_jobs_open ON ingest_jobs (bucket) WHERE ended_at IS NULL;
CREATE INDEX ingest_jobs_ended ON ingest_jobs (ended_at, job_id) WHERE ended_at IS NOT NULL;

-- line: of an upload; of a topic, the offset in its partition. start: the first bytes of the line.
CREATE TABLE ingest_rejects (
  job_id uuid NOT NULL,
  partition integer NOT NULL DEFAULT 0,
  line bigint NOT NULL,
  code text NOT NULL,
  reason text NOT NULL,
  start bytea NOT NULL,
  PRIMARY KEY (job_id, partition, line)
);

CREATE TABLE ingest_events (
  job_id uuid NOT NULL,
  seq integer NOT NULL CHECK (seq > 0),
  lineage bigint NOT NULL,
  type text NOT NULL,
  data bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, seq)
);

-- Turns that wait for the end of a job.
CREATE TABLE ingest_waiters (
  job_id uuid NOT NULL,
  turn_id uuid NOT NULL,
  lane text NOT NULL,
  tenant text NOT NULL,
  PRIMARY KEY (job_id, turn_id)
);
