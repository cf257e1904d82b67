-- What one batch does.

-- name: insert_node
-- No row back: it is there.
INSERT INTO node (id, label, props, version, turn_id, step_key) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING RETURNING number, id

-- name: find_node
SELECT number, label, props, version FROM node WHERE id = ?

-- name: update_node
UPDATE node SET label = ?, props = ?, version = ?, turn_id = ?, step_key = ? WHERE number = ?

-- name: delete_node
DELETE FROM node WHERE number = ?

-- name: delete_vectors
DELETE FROM vector WHERE number = ?

-- name: delete_vector
DELETE FROM vector WHERE number = ? AND name = ?

-- name: count_vectors
SELECT count(*) FROM vector WHERE number = ?

-- name: insert_vector
INSERT INTO vector (number, name, numbers) VALUES (?, ?, ?)

-- name: insert_edge
-- If both nodes are there. No row back: one is not, or the edge is there.
INSERT INTO edge (src, type, dst, props, version, turn_id, step_key)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
WHERE EXISTS (SELECT 1 FROM node WHERE id = ?1) AND EXISTS (SELECT 1 FROM node WHERE id = ?3)
ON CONFLICT (src, type, dst) DO NOTHING RETURNING 1

-- name: upsert_edge
INSERT INTO edge (src, type, dst, props, version, turn_id, step_key) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (src, type, dst) DO UPDATE
SET props = excluded.props, version = excluded.version, turn_id = excluded.turn_id, step_key = excluded.step_key

-- name: find_edge
SELECT props, version FROM edge WHERE src = ? AND type = ? AND dst = ?

-- name: update_edge
UPDATE edge SET props = ?, version = ?, turn_id = ?, step_key = ? WHERE src = ? AND type = ? AND dst = ?

-- name: delete_edge
DELETE FROM edge WHERE src = ? AND type = ? AND dst = ?

-- name: edges_out
SELECT src, type, dst FROM edge WHERE src = ? LIMIT ?

-- name: edges_in
SELECT src, type, dst FROM edge WHERE dst = ? LIMIT ?

-- name: has_node
SELECT 1 FROM node WHERE id = ?

-- name: find_applied
SELECT digest, version, failed, reason FROM applied WHERE batch_key = ?

-- name: insert_applied
INSERT INTO applied (batch_key, digest, version, failed, reason, made_at_ms) VALUES (?, ?, ?, ?, ?, ?)

-- name: forget_applied
DELETE FROM applied
WHERE batch_key IN (SELECT batch_key FROM applied WHERE made_at_ms < ? ORDER BY made_at_ms LIMIT ?)
RETURNING made_at_ms

-- name: find_token
SELECT epoch, place, attempt FROM token WHERE session_id = ?

-- name: upsert_token
INSERT INTO token (session_id, epoch, place, attempt, used_at_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (session_id) DO UPDATE
SET epoch = excluded.epoch, place = excluded.place, attempt = excluded.attempt,
    used_at_ms = max(used_at_ms, excluded.used_at_ms)

-- name: forget_tokens
DELETE FROM token
WHERE session_id IN (SELECT session_id FROM token WHERE used_at_ms < ? ORDER BY used_at_ms LIMIT ?)

-- name: update_meta
UPDATE meta SET version = ?, node_count = ?, edge_count = ?, forgotten_ms = ?

-- name: count_edges
SELECT count(*) FROM edge

-- name: dangling_edge
-- An edge that a bulk load wrote without one of its nodes.
SELECT src, type, dst FROM edge AS e
WHERE version = ? AND (NOT EXISTS (SELECT 1 FROM node WHERE id = e.src) OR NOT EXISTS (SELECT 1 FROM node WHERE id = e.dst))
LIMIT 1
