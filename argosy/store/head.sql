-- name: load_heads
-- The head of each session of a range of buckets that has a turn which has not ended, from a cursor on. A loose index
-- scan over turns_open: its cost is the number of sessions, never the number of turns behind them. The session's name is
-- a subquery here and below, not a join: with old statistics the planner would begin with all sessions.
WITH RECURSIVE found AS (
  (SELECT bucket, session_id FROM turns
   WHERE lane = $1 AND (bucket, session_id) > ($2::smallint, $3::uuid) AND bucket <= $4::smallint
     AND status IN ('queued', 'running', 'suspended', 'parked') AND place IS NOT NULL
   ORDER BY bucket, session_id LIMIT 1)
  UNION ALL
  SELECT following.bucket, following.session_id FROM found, LATERAL (
    SELECT bucket, session_id FROM turns
    WHERE lane = $1 AND (bucket, session_id) > (found.bucket, found.session_id) AND bucket <= $4::smallint
      AND status IN ('queued', 'running', 'suspended', 'parked') AND place IS NOT NULL
    ORDER BY bucket, session_id LIMIT 1) AS following
), page AS (SELECT bucket, session_id FROM found LIMIT $5)
SELECT t.turn_id, t.tenant, t.session_id, (SELECT s.name FROM sessions AS s WHERE s.session_id = t.session_id), t.bucket,
       t.place, t.workflow, t.version, t.status, t.attempt, t.crashes, t.seq, t.priority, CASE WHEN octet_length(t.input) <= $6 THEN t.input END,
       EXISTS (SELECT 1 FROM inbox AS b WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.tenant = t.tenant AND b.kind IN ('signal', 'step_result') AND b.state IN ('due', 'buffered')),
       t.lent_to, t.lent_as, extract(epoch FROM coalesce(
         CASE WHEN t.status <> 'queued' THEN (SELECT e.at FROM events AS e WHERE e.turn_id = t.turn_id ORDER BY e.seq DESC LIMIT 1) END,
         t.accepted_at))::double precision,
       t.created_by, extract(epoch FROM t.not_before)::double precision
FROM page
CROSS JOIN LATERAL (
  SELECT * FROM turns AS h
  WHERE h.lane = $1 AND h.bucket = page.bucket AND h.session_id = page.session_id
    AND h.status IN ('queued', 'running', 'suspended', 'parked') AND h.place IS NOT NULL
  ORDER BY h.place LIMIT 1) AS t
ORDER BY t.bucket, t.session_id

-- name: load_sessions
-- The first turns of these sessions that have not ended, in order.
SELECT t.turn_id, t.tenant, t.session_id, (SELECT s.name FROM sessions AS s WHERE s.session_id = t.session_id), t.bucket,
       t.place, t.workflow, t.version, t.status, t.attempt, t.crashes, t.seq, t.priority, CASE WHEN octet_length(t.input) <= $5 THEN t.input END,
       EXISTS (SELECT 1 FROM inbox AS b WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.tenant = t.tenant AND b.kind IN ('signal', 'step_result') AND b.state IN ('due', 'buffered')),
       t.lent_to, t.lent_as, extract(epoch FROM coalesce(
         CASE WHEN t.status <> 'queued' THEN (SELECT e.at FROM events AS e WHERE e.turn_id = t.turn_id ORDER BY e.seq DESC LIMIT 1) END,
         t.accepted_at))::double precision,
       t.created_by, extract(epoch FROM t.not_before)::double precision
FROM unnest($2::smallint[], $3::uuid[]) WITH ORDINALITY AS asked (bucket, session_id, ord)
CROSS JOIN LATERAL (
  SELECT * FROM turns AS h
  WHERE h.lane = $1 AND h.bucket = asked.bucket AND h.session_id = asked.session_id
    AND h.status IN ('queued', 'running', 'suspended', 'parked') AND h.place IS NOT NULL
  ORDER BY h.place LIMIT $4) AS t
ORDER BY asked.ord, t.place

-- name: load_head
-- One turn without anything of what it has recorded.
SELECT t.turn_id, t.tenant, t.session_id, (SELECT s.name FROM sessions AS s WHERE s.session_id = t.session_id), t.bucket,
       t.place, t.workflow, t.version, t.status, t.attempt, t.crashes, t.seq, t.priority, NULL::bytea, true, t.lent_to, t.lent_as
FROM turns AS t
WHERE t.turn_id = $1 AND t.lane = $2

-- name: load_turns
-- All that running these turns needs: their rows, histories, the signals nobody has taken, the timers of their waits
-- (buffered: it came due while the turn was parked), what steps came to at a former owner. $3: NULL, or only those that are
-- suspended and have so many events at the most. $4: what they may have together, in the order in which they are asked for;
-- of one that is beyond that come no events, no results and no payloads of signals, only how much there is. $5: with events.
SELECT s.turn_id, s.tenant, s.session_id, (SELECT n.name FROM sessions AS n WHERE n.session_id = s.session_id), s.bucket, s.place,
       s.workflow, s.version, s.status, s.attempt, s.crashes, s.seq, s.priority, CASE WHEN s.fits THEN s.input END, s.waits,
       s.trial, s.size_bytes,
       CASE WHEN s.fits AND $5 THEN
         ARRAY(SELECT ROW(e.seq, e.attempt, e.type, e.key, e.data) FROM events AS e WHERE e.turn_id = s.turn_id ORDER BY e.seq) END AS events,
       ARRAY(SELECT ROW(b.inbox_id, b.name, CASE WHEN s.fits THEN b.payload END) FROM inbox AS b
             WHERE b.turn_id = ANY (s.names) AND b.tenant = s.tenant AND b.kind = 'signal' AND b.state IN ('due', 'buffered')
             ORDER BY b.sent_at, b.inbox_id) AS signals,
       ARRAY(SELECT ROW(b.correlation, b.inbox_id, b.state = 'buffered', extract(epoch FROM b.due_at)::double precision)
             FROM inbox AS b
             WHERE b.turn_id = s.turn_id AND b.kind = 'timer' AND b.state IN ('due', 'buffered') AND b.correlation <> '') AS timers,
       CASE WHEN s.fits THEN
         ARRAY(SELECT ROW(b.inbox_id, b.name, b.correlation, b.payload) FROM inbox AS b
               WHERE b.turn_id = ANY (s.names) AND b.tenant = s.tenant AND b.kind = 'step_result' AND b.state IN ('due', 'buffered') ORDER BY b.sent_at) END AS results,
       extract(epoch FROM coalesce(
         (SELECT e.at FROM events AS e WHERE e.turn_id = s.turn_id ORDER BY e.seq DESC LIMIT 1), s.accepted_at))::double precision AS written_at_s,
       s.lent_to, s.created_by, extract(epoch FROM s.not_before)::double precision
FROM (
  SELECT sized.*, sum(sized.size_bytes) OVER (ORDER BY sized.ord) <= $4::bigint AS fits
  FROM (
    SELECT t.*, n.names, asked.ord,
           (coalesce(octet_length(t.input), 0)
             + (SELECT coalesce(sum(octet_length(e.data) + 100), 0) FROM events AS e WHERE e.turn_id = t.turn_id)
             + (SELECT coalesce(sum(coalesce(octet_length(b.payload), 0) + 100), 0) FROM inbox AS b
                WHERE b.turn_id = ANY (n.names) AND b.tenant = t.tenant AND b.kind IN ('signal', 'step_result') AND b.state IN ('due', 'buffered'))
           )::bigint AS size_bytes
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (turn_id, ord)
    CROSS JOIN LATERAL (
      SELECT o.* FROM turns AS o
      WHERE o.turn_id = asked.turn_id AND o.lane = $2
        AND ($3::integer IS NULL OR (o.status = 'suspended' AND o.seq <= $3))
      LIMIT 1) AS t
    CROSS JOIN LATERAL (SELECT turn_names(t.turn_id) AS names OFFSET 0) AS n -- asked once
  ) AS sized) AS s
ORDER BY s.ord

-- name: load_history
-- The events of a turn after one of them ($2), in order: $3 rows at the most, and none after $4 bytes.
SELECT seq, attempt, type, key, data
FROM (
  SELECT first.*, sum(octet_length(data) + 100) OVER (ORDER BY seq) - octet_length(data) - 100 AS bytes_before
  FROM (
    SELECT e.seq, e.attempt, e.type, e.key, e.data FROM events AS e
    WHERE e.turn_id = $1 AND e.seq > $2
    ORDER BY e.seq
    LIMIT $3) AS first) AS sized
WHERE bytes_before < $4
ORDER BY seq

-- name: await_signals
-- The signals of these turns that are due, those too that are being written, in order. See functions/signal.sql. Of their
-- payloads no more than $3 bytes, but for the last one.
SELECT inbox_id, turn_id, bucket, name, payload, (SELECT t.tenant FROM turns AS t WHERE t.turn_id = sized.turn_id)
FROM (
  SELECT a.*, sum(coalesce(octet_length(a.payload), 0)) OVER (ROWS UNBOUNDED PRECEDING) - coalesce(octet_length(a.payload), 0) AS bytes_before
  FROM await_signals($1::uuid[], $2::text) AS a) AS sized
WHERE bytes_before < $3::bigint

-- name: due_inbox
-- What is due in these buckets, queue by queue, the oldest first, with the turn it is meant for (a duplicate's rows are its
-- original's). $4: rows that the caller knows already; $5, $6: queues (head.py) and how many rows of each. Of a queue's
-- payloads and waits no more than $7 bytes, but for the last one. What a turn waits for stands in its first row alone: each of
-- thousands of timers would bring thousands of waits.
-- Rows for turns that may still be in the log are left out: all until its partition is accepted through ten minutes after
-- they were sent, however long that takes. Whose turn is not here then never comes,
-- unless another turn started it and nobody has accepted it yet. (A scalar query, by the key: NOT EXISTS may read the
-- whole table for one row.)
SELECT inbox_id, turn_id, bucket, kind, name, correlation, payload, first_waits,
       tenant, session_id, session, place, workflow, version, status, attempt, crashes, seq, priority
FROM (
  SELECT n.*, sum(coalesce(octet_length(n.payload), 0) + coalesce(octet_length(n.first_waits), 0))
           OVER (PARTITION BY n.queue ORDER BY n.due_at, n.inbox_id)
           - coalesce(octet_length(n.payload), 0) - coalesce(octet_length(n.first_waits), 0) AS bytes_before
  FROM (
    SELECT d.*, q.queue,
           CASE WHEN row_number() OVER (PARTITION BY q.queue, d.turn_id ORDER BY d.due_at, d.inbox_id) = 1
                THEN d.waits END AS first_waits
    FROM unnest($5::integer[], $6::integer[]) AS q (queue, rows_max)
    CROSS JOIN LATERAL (
      SELECT b.inbox_id, coalesce(t.duplicate_of, b.turn_id) AS turn_id, b.bucket, b.kind, b.name, b.correlation, b.payload,
             b.due_at, h.waits, h.tenant, h.session_id,
             (SELECT s.name FROM sessions AS s WHERE s.session_id = h.session_id) AS session,
             h.place, h.workflow, h.version, h.status, h.attempt, h.crashes, h.seq, h.priority
      FROM inbox AS b
      LEFT JOIN turns AS t ON t.turn_id = b.turn_id AND t.tenant = b.tenant
      LEFT JOIN turns AS h ON h.turn_id = coalesce(t.duplicate_of, t.turn_id)
      WHERE b.lane = $1 AND b.state = 'due' AND b.due_at <= now()
        AND (CASE WHEN b.kind = 'cancel' THEN 1 WHEN b.kind = 'timer' AND b.name = 'deadline' THEN 2
                  WHEN b.kind <> 'timer' THEN 3 ELSE 4 END) = q.queue
        AND b.inbox_id NOT IN (SELECT unnest($4::uuid[]))
        AND (t.turn_id IS NOT NULL OR b.sent_at < (
          SELECT max(p.accepted_through) - interval '10 minutes'
          FROM lane_logs AS l JOIN positions AS p ON p.lane = l.lane AND p.partition = b.bucket * l.partition_count / 1024
          WHERE l.lane = b.lane) AND (SELECT s.turn_id FROM starts AS s WHERE s.turn_id = b.turn_id) IS NULL)
        AND EXISTS (SELECT 1 FROM unnest($2::smallint[], $3::smallint[]) AS mine (first, last) WHERE b.bucket BETWEEN mine.first AND mine.last)
      ORDER BY b.due_at LIMIT q.rows_max) AS d) AS n) AS found
WHERE bytes_before < $7
ORDER BY queue, due_at, inbox_id

-- name: due_of_turns
-- What is due of these turns ($2), whichever queue it stands in: $4 rows at the most, and (but for the last one) $5 bytes of
-- payloads. $3: rows that the caller knows already. waits: as above.
SELECT inbox_id, turn_id, bucket, kind, name, correlation, payload,
       CASE WHEN row_number() OVER (PARTITION BY turn_id ORDER BY due_at, inbox_id) = 1 THEN waits END AS waits,
       tenant, session_id, session, place, workflow, version, status, attempt, crashes, seq, priority
FROM (
  SELECT d.*, sum(coalesce(octet_length(d.payload), 0)) OVER (ORDER BY d.due_at, d.inbox_id) - coalesce(octet_length(d.payload), 0) AS bytes_before
  FROM (
    SELECT b.inbox_id, b.turn_id, b.bucket, b.kind, b.name, b.correlation, b.payload, b.due_at, h.waits, h.tenant, h.session_id,
           (SELECT s.name FROM sessions AS s WHERE s.session_id = h.session_id) AS session,
           h.place, h.workflow, h.version, h.status, h.attempt, h.crashes, h.seq, h.priority
    FROM inbox AS b
    JOIN turns AS h ON h.turn_id = b.turn_id AND h.tenant = b.tenant
    WHERE b.turn_id = ANY ($2::uuid[]) AND b.lane = $1 AND b.state = 'due' AND b.due_at <= now()
      AND b.inbox_id NOT IN (SELECT unnest($3::uuid[]))
    ORDER BY b.due_at LIMIT $4) AS d) AS found
WHERE bytes_before < $5
ORDER BY due_at, inbox_id

-- name: hasten_retries
-- Makes due at once what waits in these buckets for another try because of a shard ($4, its id as text), the soonest first: $6
-- rows at the most, of those that are due within $5 seconds, which bounds what is looked through. How many there were.
-- A wait that is tried too soon begins another one, so this needs no fence; rows that others write just now stay as they are.
WITH hastened AS (
  UPDATE inbox SET due_at = now()
  WHERE inbox_id = ANY (ARRAY(
    SELECT b.inbox_id FROM inbox AS b
    WHERE b.lane = $1 AND b.state = 'due' AND b.due_at > now() AND b.due_at <= now() + make_interval(secs => $5)
      AND (CASE WHEN b.kind = 'cancel' THEN 1 WHEN b.kind = 'timer' AND b.name = 'deadline' THEN 2
                WHEN b.kind <> 'timer' THEN 3 ELSE 4 END) = 4
      AND b.name = 'retry' AND b.payload = convert_to($4::text, 'UTF8')
      AND EXISTS (SELECT 1 FROM unnest($2::smallint[], $3::smallint[]) AS mine (first, last) WHERE b.bucket BETWEEN mine.first AND mine.last)
    ORDER BY b.due_at LIMIT $6 FOR UPDATE SKIP LOCKED))
  RETURNING 1)
SELECT count(*) FROM hastened

-- name: next_due
-- Seconds until the next row of these buckets falls due (NULL: there is none), and whether turns that other turns started
-- wait there to be accepted: whoever looks for the one need not ask for the other.
SELECT (
  SELECT extract(epoch FROM b.due_at - now())::double precision FROM inbox AS b
  WHERE b.lane = $1 AND b.state = 'due' AND b.due_at > now()
    AND EXISTS (SELECT 1 FROM unnest($2::smallint[], $3::smallint[]) AS mine (first, last) WHERE b.bucket BETWEEN mine.first AND mine.last)
  ORDER BY b.due_at LIMIT 1),
  EXISTS (
    SELECT 1 FROM unnest($2::smallint[], $3::smallint[]) AS mine (first, last)
    CROSS JOIN LATERAL (
      SELECT 1 FROM starts AS s WHERE s.lane = $1 AND s.bucket BETWEEN mine.first AND mine.last LIMIT 1) AS one)
