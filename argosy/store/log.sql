-- name: append
-- Positions of the records in the order given; see functions/log.sql.
SELECT log_append($1, $2::integer[], $3::bytea[], $4::bytea[], $5::bytea[])

-- name: fetch
-- Records of several partitions from given positions on.
SELECT partition, position, at_ms, key, value, headers FROM log_fetch($1, $2::integer[], $3::bigint[], $4, $5)

-- name: get_identity
-- Which log this is; no row when there is no such topic.
SELECT i.cluster_id, t.topic_id, t.partition_count FROM log_identity AS i, log_topics AS t WHERE t.topic = $1

-- name: list_spans
-- What partitions hold.
SELECT l.partition, l.begin_position, l.next_position
FROM log_topics AS t CROSS JOIN unnest($2::integer[]) AS u (partition)
CROSS JOIN LATERAL (
  SELECT * FROM log_partitions AS n WHERE n.topic_id = t.topic_id AND n.partition = u.partition
  ORDER BY n.next_position DESC LIMIT 1) AS l
WHERE t.topic = $1

-- name: make_topic
-- Creates the topic unless it is there; how many partitions it has.
SELECT log_make_topic($1, $2)

-- name: trim
-- Forgets up to $4 records before a position; the first position that is left.
SELECT log_trim($1, $2, $3, $4)

-- name: trim_as
-- As trim, of this very topic, under a term: $1 role, $2 term, $3 topic id, $4 partition, $5 position, $6 records.
SELECT log_trim_as($1, $2, $3, $4, $5, $6)

-- name: run_round
-- The member lives; what it may read. $3: for how long it is believed to live, seconds; 0: it leaves.
SELECT topic_id, held, is_settled FROM log_round($1, $2, $3)

-- name: measure
-- How many records a topic holds, and how much disk all topics take.
SELECT coalesce(sum(l.next_position - l.begin_position), 0)::bigint, pg_total_relation_size('log_records')
FROM log_partitions AS l JOIN log_topics AS t USING (topic_id) WHERE t.topic = $1
