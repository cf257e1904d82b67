-- name: mark_positions
-- Where the logs stand now, at most once per spacing.
SELECT mark_positions($1::text, $2::bigint, $3::double precision)

-- name: list_lanes
-- Every lane with the log that its workers are on.
SELECT lane, topic, cluster_id || '/' || topic_id, partition_count FROM lane_logs ORDER BY lane

-- name: find_mark
-- The newest mark of a log that is old enough, partition by partition.
SELECT m.at, m.partition, m.position FROM position_marks AS m
WHERE m.log_id = $1 AND m.at = (
  SELECT max(n.at) FROM position_marks AS n WHERE n.log_id = $1 AND n.at < now() - make_interval(secs => $2))
ORDER BY m.partition

-- name: note_trimmed
-- What was marked then is gone from the log.
SELECT note_trimmed($1::text, $2::bigint, $3::text, $4::timestamptz)

-- name: purge_turns
-- $5: ended at least so many seconds ago; $6: log of the lane: only what is gone from all its partitions for a minute (an
-- accept that was under way when a position was marked is in the log still).
SELECT purge_turns($1::text, $2::bigint, $3::text, $4::integer, now() - make_interval(secs => $5),
                   (SELECT min(p.trimmed_through) - interval '1 minute' FROM positions AS p WHERE p.log_id = $6), $7::integer)

-- name: purge_dead_letters
-- What could not be read, after as long.
SELECT purge_dead_letters($1::text, $2::bigint, $3::text, now() - make_interval(secs => $4), $5::integer)
