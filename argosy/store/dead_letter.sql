-- name: list_dead_letters
-- Records that could not become turns, newest first, after a place in that order. $6: bytes of a value that are shown.
SELECT log_id, partition, position, code, reason, at, octet_length(value) AS value_size_bytes,
       substring(value FROM 1 FOR $6) AS value_start
FROM dead_letters
WHERE lane = $1 AND (at, log_id, partition, position) < ($2::timestamptz, $3::text, $4::integer, $5::bigint)
ORDER BY at DESC, log_id DESC, partition DESC, position DESC
LIMIT $7
