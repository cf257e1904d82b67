-- The directory of graphs: which shards there are, and which graph is on which of them. Their data is in the shards' own
-- files, which have the last word: a row here that is old, or made up, opens none of them.
-- The last in the order of locks: ... -> early -> starts -> shards -> graphs.

-- member_id: of the shard's folder. draining: holds what it holds, and gets no new graphs.
CREATE TABLE shards (
  member_id uuid PRIMARY KEY,
  endpoint text NOT NULL UNIQUE,
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'draining')),
  added_at timestamptz NOT NULL DEFAULT now()
);

-- incarnation: of one life of a graph, from its creation to its drop. generation: how often it was moved, from 1 on.
-- state: creating, restoring (from a copy): the shard may not have it yet; dropping: it may have it still.
-- session_id: of the session that it goes with. Names are in the order of their bytes.
CREATE TABLE graphs (
  tenant text COLLATE "C" NOT NULL,
  graph text COLLATE "C" NOT NULL,
  incarnation uuid NOT NULL,
  shard uuid NOT NULL REFERENCES shards,
  generation bigint NOT NULL DEFAULT 1 CHECK (generation > 0),
  state text NOT NULL CHECK (state IN ('creating', 'restoring', 'active', 'dropping')),
  session_id uuid,
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant, graph)
);
CREATE INDEX graphs_of_shard ON graphs (shard);
CREATE INDEX graphs_of_session ON graphs (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX graphs_by_expiry ON graphs (expires_at) WHERE expires_at IS NOT NULL AND state <> 'dropping';
CREATE INDEX graphs_dropped ON graphs (incarnation) WHERE state = 'dropping';
