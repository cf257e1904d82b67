-- name: measure_partitions
-- What has not ended in these partitions: how many turns, and since when the oldest runs or could run, and since when
-- the oldest waits for somebody. A turn's age counts from when it fell due. A loose index scan over turns_open, one
-- lookup a session: what waits behind a head costs nothing.
-- $2, $3, $4: partitions, their first and last buckets; $5: sessions of one partition, $6: turns of one partition that
-- are looked at, at the most: with more of them what is answered is a lower bound (is_bounded).
SELECT u.partition, extract(epoch FROM now() - heads.active_since)::double precision AS oldest_turn_s,
       extract(epoch FROM now() - heads.waiting_since)::double precision AS oldest_waiting_s,
       least(unended.found, $6) AS open_turns, heads.found > $5 OR unended.found > $6 AS is_bounded
FROM unnest($2::integer[], $3::smallint[], $4::smallint[]) WITH ORDINALITY AS u (partition, first, last, ord)
CROSS JOIN LATERAL (
  WITH RECURSIVE head AS (
    (SELECT t.bucket, t.session_id, t.status, greatest(t.accepted_at, t.not_before) AS since FROM turns AS t
     WHERE t.lane = $1 AND t.bucket BETWEEN u.first AND u.last
       AND t.status IN ('queued', 'running', 'suspended', 'parked') AND t.place IS NOT NULL
     ORDER BY t.bucket, t.session_id, t.place LIMIT 1)
    UNION ALL
    SELECT following.* FROM head, LATERAL (
      SELECT t.bucket, t.session_id, t.status, greatest(t.accepted_at, t.not_before) FROM turns AS t
      WHERE t.lane = $1 AND (t.bucket, t.session_id) > (head.bucket, head.session_id) AND t.bucket <= u.last
        AND t.status IN ('queued', 'running', 'suspended', 'parked') AND t.place IS NOT NULL
      ORDER BY t.bucket, t.session_id, t.place LIMIT 1) AS following)
  SELECT min(since) FILTER (WHERE status IN ('queued', 'running')) AS active_since,
         min(since) FILTER (WHERE status IN ('suspended', 'parked')) AS waiting_since, count(*) AS found
  FROM (SELECT status, since FROM head LIMIT $5 + 1) AS looked) AS heads
CROSS JOIN LATERAL (
  SELECT count(*) AS found FROM (
    SELECT 1 FROM turns AS t
    WHERE t.lane = $1 AND t.bucket BETWEEN u.first AND u.last
      AND t.status IN ('queued', 'running', 'suspended', 'parked') AND t.place IS NOT NULL
    LIMIT $6 + 1) AS looked) AS unended
ORDER BY u.ord
