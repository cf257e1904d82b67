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

-- name: list_workers
-- Workers by lane and id, after a place in that order, with what they own and their signs of life. $1: a lane, or NULL
-- for all.
WITH owned AS MATERIALIZED (
  SELECT p.owner, array_agg(p.partition ORDER BY p.partition) AS partitions
  FROM partitions AS p WHERE p.owner IS NOT NULL GROUP BY p.owner)
SELECT w.worker_id, w.kind, w.lane, w.build, w.host, w.pid, w.address, w.slots, w.started_at,
       coalesce(h.in_flight, 0), s.is_draining, coalesce(h.ready_sessions, 0), coalesce(h.lag, 0),
       s.heard_s, s.holds_lock,
       coalesce((SELECT owned.partitions FROM owned WHERE owned.owner = w.worker_id), '{}') AS owned,
       s.server_up_s
FROM workers AS w
JOIN signs_of_life AS s ON s.worker_id = w.worker_id
LEFT JOIN heartbeats AS h ON h.worker_id = w.worker_id
WHERE ($1::text IS NULL OR w.lane = $1) AND (w.lane, w.worker_id) > ($2::text, $3::uuid)
ORDER BY w.lane, w.worker_id
LIMIT $4

-- name: count_workers
-- The dispatch workers of each lane by their signs of life, and what those of one group have together.
-- $1: a lane, or NULL for all; $2: a beat that young counts, seconds.
WITH owned AS MATERIALIZED (
  SELECT p.owner, count(*) AS found FROM partitions AS p WHERE p.owner IS NOT NULL GROUP BY p.owner),
worker AS (
  SELECT s.lane, w.slots, h.in_flight, h.lag, (SELECT owned.found FROM owned WHERE owned.owner = s.worker_id) AS owned,
         s.heard_s <= $2 AS is_heard, s.holds_lock, s.server_up_s
  FROM signs_of_life AS s
  JOIN workers AS w ON w.worker_id = s.worker_id
  LEFT JOIN heartbeats AS h ON h.worker_id = s.worker_id
  WHERE s.kind = 'dispatch' AND ($1::text IS NULL OR s.lane = $1))
SELECT lane, holds_lock, is_heard, count(*), sum(slots)::bigint, coalesce(sum(in_flight), 0)::bigint,
       coalesce(sum(lag), 0)::bigint, coalesce(sum(owned), 0)::bigint, max(server_up_s)
FROM worker GROUP BY lane, holds_lock, is_heard

-- name: count_partitions
-- The partitions of each lane that were ever claimed, those that have an owner, and those whose owner is not known any
-- more. $1: a lane, or NULL for all.
SELECT p.lane, count(*), count(p.owner), count(*) FILTER (
         WHERE p.owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM workers AS w WHERE w.worker_id = p.owner))
FROM partitions AS p WHERE $1::text IS NULL OR p.lane = $1 GROUP BY p.lane

-- name: list_partitions
-- Partitions of a lane from one of them on, with their owners and where their log is accepted up to (of the log that was
-- read last). $2: the first; $3: how many at the most; $4: how many there are: those never claimed are among them; NULL:
-- only those that were claimed.
WITH asked AS (
  SELECT g AS partition FROM generate_series($2::integer, least($2 + $3, $4) - 1) AS g WHERE $4::integer IS NOT NULL
  UNION ALL
  (SELECT p.partition FROM partitions AS p WHERE $4::integer IS NULL AND p.lane = $1 AND p.partition >= $2
   ORDER BY p.partition LIMIT $3)),
latest AS MATERIALIZED (
  SELECT DISTINCT ON (q.partition) q.partition, q.log_id, q.position, q.accepted_through
  FROM positions AS q WHERE q.lane = $1 AND q.partition >= $2
  ORDER BY q.partition, q.accepted_through DESC)
SELECT asked.partition, p.owner, p.address, p.epoch, p.claimed_at, latest.log_id, latest.position,
       nullif(latest.accepted_through, '-infinity') AS accepted_through
FROM asked
LEFT JOIN partitions AS p ON p.lane = $1 AND p.partition = asked.partition
LEFT JOIN latest ON latest.partition = asked.partition
ORDER BY asked.partition
