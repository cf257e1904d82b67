-- name: due_starts
-- Turns that other turns started and nobody has accepted, in these buckets ($2, $3) after one of them ($4): of each bucket
-- the first $5 in the order in which they were asked for; $6 in all at the most, and (but for the last one) $7 bytes of
-- records. $8: those that are left out, any number of them (a subquery, which is hashed: `<> ALL` compares each row with
-- each of them). A loose index scan within each range: its cost is the number of buckets that have any, up to the last one
-- that is read.
SELECT turn_id, bucket, tenant, session_id, record, created_by
FROM (
  SELECT d.*, sum(octet_length(d.record)) OVER (ORDER BY d.bucket, d.sent_at, d.turn_id) - octet_length(d.record) AS bytes_before
  FROM (
    SELECT first.*
    FROM unnest($2::smallint[], $3::smallint[]) AS mine (first, last)
    CROSS JOIN LATERAL (
      WITH RECURSIVE found AS (
        (SELECT bucket FROM starts
         WHERE lane = $1 AND bucket >= greatest(mine.first, $4::integer + 1) AND bucket <= mine.last
         ORDER BY bucket LIMIT 1)
        UNION ALL
        SELECT following.bucket FROM found, LATERAL (
          SELECT bucket FROM starts WHERE lane = $1 AND bucket > found.bucket AND bucket <= mine.last
          ORDER BY bucket LIMIT 1) AS following)
      SELECT bucket FROM found) AS filled
    CROSS JOIN LATERAL (
      SELECT s.turn_id, s.bucket, s.tenant, s.session_id, s.record, s.created_by, s.sent_at FROM starts AS s
      WHERE s.lane = $1 AND s.bucket = filled.bucket AND s.turn_id NOT IN (SELECT unnest($8::uuid[]))
      ORDER BY s.sent_at LIMIT $5) AS first
    LIMIT $6) AS d) AS sized
WHERE bytes_before < $7
ORDER BY bucket, sent_at, turn_id
