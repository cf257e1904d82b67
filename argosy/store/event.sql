-- name: list_turn_events
-- The events of a turn after one of them, in order: $5 rows at the most, and none after $6 bytes of data.
SELECT seq, attempt, type, key, at, data, lineage,
       -- Of turn.completed: how large the turn's result is, and the result when it is $7 bytes at the most.
       CASE WHEN type = 'turn.completed' THEN (
         SELECT octet_length(t.result) FROM turns AS t WHERE t.turn_id = $1) END AS result_size_bytes,
       CASE WHEN type = 'turn.completed' THEN (
         SELECT t.result FROM turns AS t WHERE t.turn_id = $1 AND octet_length(t.result) <= $7) END AS result
FROM (
  SELECT first.*, sum(octet_length(data)) OVER (ORDER BY seq) - octet_length(data) AS bytes_before
  FROM (
    SELECT e.*
    FROM events AS e
    WHERE e.turn_id = (SELECT t.turn_id FROM turns AS t WHERE t.turn_id = $1 AND t.tenant = $2 AND t.lane = $3) AND e.seq > $4
    ORDER BY e.seq
    LIMIT $5) AS first) AS sized
WHERE bytes_before < $6
ORDER BY seq

-- name: list_stream_events
-- The events of a turn from one of them on, in order, that one ($4) without its data: $5 rows at the most, and none after
-- $6 bytes of data.
SELECT seq, attempt, type, key, at, data, lineage,
       -- Of turn.completed: how large the turn's result is, and the result when it is $7 bytes at the most.
       CASE WHEN type = 'turn.completed' THEN (
         SELECT octet_length(t.result) FROM turns AS t WHERE t.turn_id = $1) END AS result_size_bytes,
       CASE WHEN type = 'turn.completed' THEN (
         SELECT t.result FROM turns AS t WHERE t.turn_id = $1 AND octet_length(t.result) <= $7) END AS result
FROM (
  SELECT first.*, sum(octet_length(data)) OVER (ORDER BY seq) - octet_length(data) AS bytes_before
  FROM (
    SELECT e.seq, e.attempt, e.type, e.key, e.at, CASE WHEN e.seq = $4 THEN ''::bytea ELSE e.data END AS data, e.lineage
    FROM events AS e
    WHERE e.turn_id = (SELECT t.turn_id FROM turns AS t WHERE t.turn_id = $1 AND t.tenant = $2 AND t.lane = $3) AND e.seq >= $4
    ORDER BY e.seq
    LIMIT $5) AS first) AS sized
WHERE bytes_before < $6
ORDER BY seq
