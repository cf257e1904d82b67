-- Whole graphs, from a file into another.

-- name: all_nodes
-- number: the vectors of a node follow from it.
SELECT number, id, label, props, version, turn_id, step_key FROM node ORDER BY id

-- name: vectors_of
SELECT name, numbers FROM vector WHERE number = ? ORDER BY name

-- name: all_edges
SELECT src, type, dst, props, version, turn_id, step_key FROM edge ORDER BY src, type, dst

-- name: all_applied
SELECT batch_key, digest, version, failed, reason, made_at_ms FROM applied ORDER BY batch_key

-- name: all_tokens
SELECT session_id, epoch, place, attempt, used_at_ms FROM token ORDER BY session_id

-- name: insert_node
INSERT INTO node (id, label, props, version, turn_id, step_key) VALUES (?, ?, ?, ?, ?, ?) RETURNING number

-- name: insert_vector
INSERT INTO vector (number, name, numbers) VALUES (?, ?, ?)

-- name: insert_edge
INSERT INTO edge (src, type, dst, props, version, turn_id, step_key) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: insert_applied
INSERT INTO applied (batch_key, digest, version, failed, reason, made_at_ms) VALUES (?, ?, ?, ?, ?, ?)

-- name: insert_token
INSERT INTO token (session_id, epoch, place, attempt, used_at_ms) VALUES (?, ?, ?, ?, ?)

-- name: any_dangling_edge
SELECT src, type, dst FROM edge AS e
WHERE NOT EXISTS (SELECT 1 FROM node WHERE id = e.src) OR NOT EXISTS (SELECT 1 FROM node WHERE id = e.dst)
LIMIT 1
