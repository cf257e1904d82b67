-- name: list_workflow_names
-- Every workflow that a worker of the lane ever registered.
SELECT DISTINCT name FROM workflows WHERE lane = $1

-- name: list_owners
-- Who owns the partitions, and where they are called.
SELECT partition, owner, epoch, address FROM partitions WHERE lane = $1 AND owner IS NOT NULL AND address IS NOT NULL

-- name: find_accept_lag
-- For how long the lane's partitions have not been known to be accepted, the slowest of them; NULL: nothing was ever read.
SELECT extract(epoch FROM now() - min(greatest(p.accepted_through, l.since)))::double precision
FROM lane_logs AS l
CROSS JOIN LATERAL generate_series(0, l.partition_count - 1) AS g (partition)
CROSS JOIN LATERAL (
  SELECT n.accepted_through FROM positions AS n
  WHERE n.log_id = l.cluster_id || '/' || l.topic_id AND n.partition = g.partition
  ORDER BY n.position DESC LIMIT 1) AS p
WHERE l.lane = $1

-- name: list_workflows
-- Workflows and their versions, by name, after a place in that order.
SELECT name, version, build, description, first_seen_at, last_seen_at
FROM workflows
WHERE lane = $1 AND (name, version) > ($2::text, $3::text)
ORDER BY name, version
LIMIT $4

-- name: probe_writing
-- Nothing, but refused where writes are: locking a row is one.
SELECT 1 FROM lineages WHERE false FOR SHARE
