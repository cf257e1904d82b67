-- name: find_lane_log
-- The log of a lane, as it was last seen by its workers, and whether any other one was heard of lately. Whether that one
-- holds its lock does not matter: who is cut off from Postgres for a moment still has the log.
SELECT l.cluster_id, l.topic_id, l.topic, l.partition_count,
       EXISTS (SELECT 1 FROM signs_of_life AS s
               WHERE s.lane = l.lane AND s.kind IN ('dispatch', 'ingest') AND s.worker_id <> $2 AND s.heard_s <= $3)
FROM lane_logs AS l WHERE l.lane = $1

-- name: set_lane_log
-- This is the log of a lane from now on. $6: what became of the one before, in words; NULL when there was none.
INSERT INTO lane_logs AS mine (lane, cluster_id, topic_id, topic, partition_count) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (lane) DO UPDATE SET cluster_id = excluded.cluster_id, topic_id = excluded.topic_id, topic = excluded.topic,
  partition_count = excluded.partition_count, since = now(), replaced_at = now(), replaced = $6
WHERE (mine.cluster_id, mine.topic_id) <> (excluded.cluster_id, excluded.topic_id)

-- name: note_missing
-- The log of a lane lacks records that were in it. $2: what that means, in words.
UPDATE lane_logs SET replaced_at = now(), replaced = $2 WHERE lane = $1
