-- What reads ask. A node: id, label, props, version, turn_id, step_key; an edge: src, type, dst and the same from props on.

-- name: get_node
SELECT id, label, props, version, turn_id, step_key FROM node WHERE id = ?

-- name: get_nodes
-- In the order of a JSON list of ids; NULL for those that are not there.
SELECT n.id, n.label, n.props, n.version, n.turn_id, n.step_key
FROM json_each(?) AS asked LEFT JOIN node AS n ON n.id = asked.value
ORDER BY asked.key

-- name: scan_nodes
SELECT id, label, props, version, turn_id, step_key FROM node WHERE id > ? ORDER BY id LIMIT ?

-- name: scan_label
SELECT id, label, props, version, turn_id, step_key FROM node WHERE label = ? AND id > ? ORDER BY id LIMIT ?

-- name: scan_edges
SELECT src, type, dst, props, version, turn_id, step_key FROM edge
WHERE (src, type, dst) > (?, ?, ?) ORDER BY src, type, dst LIMIT ?

-- name: edges_out
SELECT src, type, dst, props, version, turn_id, step_key FROM edge WHERE src = ?

-- name: edges_out_of_type
SELECT src, type, dst, props, version, turn_id, step_key FROM edge WHERE src = ? AND type = ?

-- name: edges_in
SELECT src, type, dst, props, version, turn_id, step_key FROM edge WHERE dst = ?

-- name: edges_in_of_type
SELECT src, type, dst, props, version, turn_id, step_key FROM edge WHERE dst = ? AND type = ?
