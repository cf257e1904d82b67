-- name: mark_positions
-- Where the logs stand now, at most once per spacing.
SELECT mark_positions($1::text, $2::bigint, $3::double precision, $4::double precision)

-- name: list_lanes
-- Every lane with the log that its workers are on.
SELECT lane, topic, cluster_id || '/' || topic_id, partition_count FROM lane_logs ORDER BY lane

-- name: find_mark
-- The newest mark of a log that is old enough, partition by partition; is_new: what it says was not trimmed yet.
SELECT m.at, m.partition, m.position, p.trimmed_through < m.at AS is_new FROM position_marks AS m
JOIN positions AS p ON p.log_id = m.log_id AND p.partition = m.partition
WHERE m.log_id = $1 AND m.at = (
  SELECT max(n.at) FROM position_marks AS n WHERE n.log_id = $1 AND n.at <= now() - make_interval(secs => $2))
ORDER BY m.partition

-- name: note_trimmed
-- What was marked then is gone from the log.
SELECT note_trimmed($1::text, $2::bigint, $3::text, $4::timestamptz)

-- name: list_ended
-- Turns that ended at least $1 seconds ago, after a place in the order of their ends, $4 at the most; may_go: neither their
-- record nor a copy of it can come any more (purge_turns looks again).
SELECT t.ended_at, t.turn_id, t.lane, t.bucket * l.partition_count / 1024 AS partition,
       coalesce(t.accepted_at < forgotten_before(t.lane, t.bucket * l.partition_count / 1024), false) AS may_go
FROM (SELECT o.* FROM turns AS o
      WHERE o.ended_at IS NOT NULL AND o.ended_at < now() - make_interval(secs => $1)
        AND (o.ended_at, o.turn_id) > ($2::timestamptz, $3::uuid)
      ORDER BY o.ended_at, o.turn_id LIMIT $4) AS t
LEFT JOIN lane_logs AS l ON l.lane = t.lane
ORDER BY t.ended_at, t.turn_id

-- name: purge_turns
-- Forgets those of these turns of one partition that may go; how many.
SELECT purge_turns($1::text, $2::bigint, $3::text, $4::integer, $5::uuid[], $6::double precision)

-- name: purge_strays
-- What belongs to no turn, after as long.
SELECT purge_strays($1::text, $2::bigint, $3::double precision, $4::integer)

-- name: list_holders
-- What keeps vacuum from this database's dead rows: transactions with a snapshot or an id, prepared ones, slots, standbys.
SELECT kind, name, age_s, transactions, who FROM (
  SELECT 'session' AS kind, a.pid::text AS name,
         extract(epoch FROM clock_timestamp() - a.xact_start)::double precision AS age_s,
         coalesce(greatest(age(a.backend_xmin), age(a.backend_xid)), 0) AS transactions,
         format('%s, %s, %s', a.usename, nullif(a.application_name, ''), a.state) AS who
  FROM pg_stat_activity AS a
  WHERE (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND a.xact_start IS NOT NULL
    AND a.backend_type = 'client backend' AND a.datname = current_database() AND a.pid <> pg_backend_pid()
  UNION ALL
  SELECT 'prepared', p.gid, extract(epoch FROM clock_timestamp() - p.prepared)::double precision, age(p.transaction), p.owner
  FROM pg_prepared_xacts AS p WHERE p.database = current_database()
  UNION ALL
  SELECT 'slot', s.slot_name, NULL, age(s.xmin), s.slot_type FROM pg_replication_slots AS s WHERE s.xmin IS NOT NULL
  UNION ALL
  SELECT 'standby', coalesce(nullif(r.application_name, ''), r.pid::text), NULL, age(r.backend_xmin), r.usename
  FROM pg_stat_replication AS r WHERE r.backend_xmin IS NOT NULL) AS holder
ORDER BY age_s DESC NULLS LAST, transactions DESC LIMIT 20
