-- name: claim
-- Become the owner of partitions: a new epoch for each. See migrations/0002_flush.sql.
SELECT claimed_partition, claimed_epoch FROM claim($1::uuid, $2::text, $3::text, $4::integer[])

-- name: release
-- Nobody owns these any more, if they were still ours.
UPDATE partitions AS p SET owner = NULL, address = NULL
FROM unnest($3::integer[], $4::bigint[]) AS mine (partition, epoch)
WHERE p.lane = $2 AND p.partition = mine.partition AND p.epoch = mine.epoch AND p.owner = $1

-- name: open_positions
-- The first position of partitions that have none in this log.
INSERT INTO positions (log_id, partition, lane, position)
SELECT $1, u.partition, $2, u.position FROM unnest($3::integer[], $4::bigint[]) AS u (partition, position)
ON CONFLICT DO NOTHING

-- name: list_positions
-- Where these partitions of a log are accepted up to.
SELECT partition, position FROM positions WHERE log_id = $1 AND partition = ANY ($2::integer[])

-- name: list_owners
-- Who owns the partitions of a lane.
SELECT partition, owner, address FROM partitions WHERE lane = $1 AND owner IS NOT NULL
