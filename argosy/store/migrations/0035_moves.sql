-- How graphs come from one shard to another: each move is a row that says how far it came, and any leader of the role
-- rebalance carries it on.
-- The last in the order of locks: ... -> shards -> graphs -> shard_plans -> graph_moves.

-- Which graphs are to move, and why. rebalance: those that belong elsewhere among the shards of today; drain: those of
-- `shard`. after_*: the graph that was looked at last. blocked: why nothing can be planned now.
CREATE TABLE shard_plans (
  plan_id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('rebalance', 'drain')),
  shard uuid,
  state text NOT NULL DEFAULT 'planning' CHECK (state IN ('planning', 'moving', 'done', 'cancelled')),
  after_tenant text COLLATE "C" NOT NULL DEFAULT '',
  after_graph text COLLATE "C" NOT NULL DEFAULT '',
  planned integer NOT NULL DEFAULT 0,
  blocked text NOT NULL DEFAULT '',
  not_before timestamptz NOT NULL DEFAULT now(),
  asked_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  CHECK ((shard IS NOT NULL) = (kind = 'drain')),
  CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'cancelled')))
);
CREATE UNIQUE INDEX shard_plans_open ON shard_plans (kind, coalesce(shard, '00000000-0000-0000-0000-000000000000'::uuid)) WHERE ended_at IS NULL;
CREATE INDEX shard_plans_ended ON shard_plans (ended_at) WHERE ended_at IS NOT NULL;

-- generation: of the graph before the move. plan_id: NULL: somebody asked for this one move. base_sha256: of what was
-- copied before the seal. sealed_at: since then the graph takes no writes; stalled_s: for how long it took none. tries: how
-- often this was tried before, or put off. is_target_dirty: given up while the target was away, which may have a part of a
-- copy still.
CREATE TABLE graph_moves (
  move_id uuid PRIMARY KEY,
  plan_id uuid,
  tenant text COLLATE "C" NOT NULL,
  graph text COLLATE "C" NOT NULL,
  incarnation uuid NOT NULL,
  source uuid NOT NULL,
  target uuid NOT NULL CHECK (target <> source),
  generation bigint NOT NULL CHECK (generation > 0),
  state text NOT NULL DEFAULT 'planned' CHECK (state IN (
    'planned', 'copying', 'sealed', 'landed', 'retired', 'switched', 'activated', 'aborting', 'done', 'aborted')),
  base_sha256 bytea NOT NULL DEFAULT '',
  reason text NOT NULL DEFAULT '',
  tries integer NOT NULL DEFAULT 0,
  size_bytes bigint NOT NULL DEFAULT 0,
  copied_bytes bigint NOT NULL DEFAULT 0,
  is_target_dirty boolean NOT NULL DEFAULT false,
  not_before timestamptz NOT NULL DEFAULT now(),
  planned_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now(),
  sealed_at timestamptz,
  stalled_s real,
  ended_at timestamptz,
  CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'aborted')))
);
-- One at a time.
CREATE UNIQUE INDEX graph_moves_open ON graph_moves (tenant, graph) WHERE ended_at IS NULL;
CREATE INDEX graph_moves_due ON graph_moves (not_before, move_id) WHERE ended_at IS NULL;
CREATE INDEX graph_moves_of_plan ON graph_moves (plan_id) WHERE ended_at IS NULL;
CREATE INDEX graph_moves_dirty ON graph_moves (not_before, move_id) WHERE is_target_dirty;
CREATE INDEX graph_moves_ended ON graph_moves (ended_at, move_id) WHERE ended_at IS NOT NULL;
