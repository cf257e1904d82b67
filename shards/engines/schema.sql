-- The file of one graph.

-- name: make_graph
-- node.number stays a node's own while it is there; text and vectors refer to it. props: a JSON object in UTF-8.
-- An edge holds ids, so that neighbours are read in one place; its nodes are there.
CREATE TABLE node (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  label TEXT NOT NULL,
  props BLOB NOT NULL,
  version INTEGER NOT NULL,
  turn_id TEXT NOT NULL,
  step_key TEXT NOT NULL
);
CREATE INDEX node_label ON node (label, id);

CREATE TABLE edge (
  src TEXT NOT NULL,
  type TEXT NOT NULL,
  dst TEXT NOT NULL,
  props BLOB NOT NULL,
  version INTEGER NOT NULL,
  turn_id TEXT NOT NULL,
  step_key TEXT NOT NULL,
  PRIMARY KEY (src, type, dst)
) WITHOUT ROWID;
CREATE INDEX edge_in ON edge (dst, type, src);

-- The vectors of nodes: float32, little-endian. A key is never used again, and its row never changes: a node that gets
-- another vector gets another key.
CREATE TABLE vector (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  number INTEGER NOT NULL,
  name TEXT NOT NULL,
  numbers BLOB NOT NULL,
  UNIQUE (number, name)
);
CREATE INDEX vector_name ON vector (name);

-- Batches that were applied under a key, and what they came to: see Applied in argosy/graph/facts.py.
CREATE TABLE applied (
  batch_key TEXT PRIMARY KEY,
  digest BLOB NOT NULL,
  version INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  reason TEXT NOT NULL,
  made_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX applied_made ON applied (made_at_ms);

-- The highest token of each session that wrote.
CREATE TABLE token (
  session_id BLOB PRIMARY KEY,
  epoch INTEGER NOT NULL,
  place INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  used_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX token_used ON token (used_at_ms);

-- One row. version: of the last batch. forgotten_ms: a key made then or before may have been here and be deleted.
CREATE TABLE meta (
  tenant TEXT NOT NULL,
  graph TEXT NOT NULL,
  incarnation BLOB NOT NULL,
  generation INTEGER NOT NULL,
  state TEXT NOT NULL,
  version INTEGER NOT NULL,
  node_count INTEGER NOT NULL,
  edge_count INTEGER NOT NULL,
  forgotten_ms INTEGER NOT NULL
);

-- name: insert_meta
INSERT INTO meta VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0);

-- name: read_meta
SELECT tenant, graph, incarnation, generation, state, version, node_count, edge_count, forgotten_ms FROM meta

-- name: update_state
UPDATE meta SET state = ?, generation = ?;

-- name: rename
-- A copy is another graph than it was made of, or one of another generation.
UPDATE meta SET tenant = ?, graph = ?, incarnation = ?, generation = ?, state = ?


-- name: has_acl
SELECT 1 FROM sqlite_schema WHERE name = 'acl'

-- name: make_acl
-- The graph's access control list: one row, JSON (argosy/graph/acl.py). Made when a graph gets one, so that the file of a
-- graph without is what it was.
CREATE TABLE acl (acl BLOB NOT NULL);

-- name: read_acl
SELECT acl FROM acl

-- name: delete_acl
DELETE FROM acl;

-- name: insert_acl
INSERT INTO acl VALUES (?);
