-- What reads ask. A node: id, label, props, version, turn_id, step_key; an edge: src, type, dst and the same from props on.

-- name: get_node
SELECT id, label, props, version, turn_id, step_key FROM node WHERE id = ?

-- name: get_nodes
-- Those of a JSON list of ids that are there, with their places in it. They are not sorted: SQLite would read all of
-- them, with their props, before it gives the first.
SELECT n.id, n.label, n.props, n.version, n.turn_id, n.step_key, asked.key
FROM json_each(?) AS asked CROSS JOIN node AS n ON n.id = asked.value

-- name: scan_nodes
SELECT id, label, props, version, turn_id, step_key FROM node WHERE id > ? ORDER BY id LIMIT ?

-- name: scan_label
SELECT id, label, props, version, turn_id, step_key FROM node WHERE label = ? AND id > ? ORDER BY id LIMIT ?

-- name: scan_edges
SELECT src, type, dst, props, version, turn_id, step_key FROM edge
WHERE (src, type, dst) > (?, ?, ?) ORDER BY src, type, dst LIMIT ?

-- name: edges_out
-- Of the nodes in a JSON list of ids. CROSS JOIN: one node after the other, so that whoever has enough stops early.
SELECT e.src, e.type, e.dst, e.props, e.version, e.turn_id, e.step_key
FROM json_each(?) AS near CROSS JOIN edge AS e ON e.src = near.value

-- name: edges_out_of_types
-- Of these types, a JSON list.
SELECT e.src, e.type, e.dst, e.props, e.version, e.turn_id, e.step_key
FROM json_each(?) AS near CROSS JOIN json_each(?) AS kind CROSS JOIN edge AS e
  ON e.src = near.value AND e.type = kind.value

-- name: edges_in
SELECT e.src, e.type, e.dst, e.props, e.version, e.turn_id, e.step_key
FROM json_each(?) AS near CROSS JOIN edge AS e ON e.dst = near.value

-- name: edges_in_of_types
SELECT e.src, e.type, e.dst, e.props, e.version, e.turn_id, e.step_key
FROM json_each(?) AS near CROSS JOIN json_each(?) AS kind CROSS JOIN edge AS e
  ON e.dst = near.value AND e.type = kind.value
