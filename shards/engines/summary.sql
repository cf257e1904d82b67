-- What a graph has of which kind.

-- name: count_labels
SELECT label, count(*) FROM node GROUP BY label ORDER BY count(*) DESC, label LIMIT ?

-- name: count_node_props
-- Of the first nodes of a label.
SELECT each.key, count(*)
FROM (SELECT props FROM node WHERE label = ?1 ORDER BY id LIMIT ?2) AS sampled, json_each(CAST(sampled.props AS TEXT)) AS each
GROUP BY each.key ORDER BY count(*) DESC, each.key LIMIT ?3

-- name: count_types
-- Of the first edges.
SELECT type, count(*) FROM (SELECT type FROM edge INDEXED BY edge_in LIMIT ?1)
GROUP BY type ORDER BY count(*) DESC, type LIMIT ?2

-- name: count_edge_props
-- Of the first edges. No key: of all of them.
WITH sampled AS MATERIALIZED (SELECT type, props FROM edge LIMIT ?)
SELECT type, NULL AS key, count(*) AS total FROM sampled GROUP BY type
UNION ALL
SELECT sampled.type, each.key, count(*) FROM sampled, json_each(CAST(sampled.props AS TEXT)) AS each
GROUP BY sampled.type, each.key
ORDER BY total DESC, key

-- name: count_edges
SELECT edge_count FROM meta
