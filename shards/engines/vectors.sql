-- Vectors of nodes: see the table vector in schema.sql. A key is never used again and its row never changes, so that what
-- memory holds of a key is right for as long as the file has the key.

-- name: first_of_name
SELECT length(numbers) FROM vector WHERE name = ? ORDER BY key LIMIT 1

-- name: count_of_name
SELECT count(*) FROM vector WHERE name = ?

-- name: vectors_after
SELECT key, numbers FROM vector WHERE name = ? AND key > ? ORDER BY key LIMIT ?

-- name: numbers_of_key
SELECT numbers FROM vector WHERE key = ?

-- name: node_of_key
SELECT n.id, n.label, n.props, n.version, n.turn_id, n.step_key
FROM vector AS v CROSS JOIN node AS n ON n.number = v.number
WHERE v.key = ?
