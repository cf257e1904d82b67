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
       EXISTS (SELECT 1 FROM inbox AS b WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.kind IN ('signal', 'step_result') AND b.state IN ('due', 'buffered'))
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
       EXISTS (SELECT 1 FROM inbox AS b WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.kind IN ('signal', 'step_result') AND b.state IN ('due', 'buffered'))
FROM unnest($2::smallint[], $3::uuid[]) WITH ORDINALITY AS asked (bucket, session_id, ord)
CROSS JOIN LATERAL (
  SELECT * FROM turns AS h
  WHERE h.lane = $1 AND h.bucket = asked.bucket AND h.session_id = asked.session_id
    AND h.status IN ('queued', 'running', 'suspended', 'parked') AND h.place IS NOT NULL
  ORDER BY h.place LIMIT $4) AS t
ORDER BY asked.ord, t.place

-- name: load_turns
-- All that running these turns needs: their rows, histories, the signals nobody has taken, the timers that came due while
-- parked, what steps came to at a former owner. $3: NULL, or only those that are suspended and have so many events at the
-- most.
SELECT t.turn_id, t.tenant, t.session_id, (SELECT s.name FROM sessions AS s WHERE s.session_id = t.session_id), t.bucket, t.place,
       t.workflow, t.version, t.status, t.attempt, t.crashes, t.seq, t.priority, t.input, t.waits,
       ARRAY(SELECT ROW(e.seq, e.attempt, e.type, e.key, e.data) FROM events AS e WHERE e.turn_id = t.turn_id ORDER BY e.seq) AS events,
       ARRAY(SELECT ROW(b.inbox_id, b.name, b.payload) FROM inbox AS b
             WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.kind = 'signal' AND b.state IN ('due', 'buffered')
             ORDER BY b.sent_at, b.inbox_id) AS signals,
       ARRAY(SELECT ROW(b.correlation, b.inbox_id) FROM inbox AS b
             WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.kind = 'timer' AND b.state = 'buffered' AND b.correlation <> '') AS timers,
       ARRAY(SELECT ROW(b.inbox_id, b.name, b.correlation, b.payload) FROM inbox AS b
             WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.kind = 'step_result' AND b.state IN ('due', 'buffered') ORDER BY b.sent_at) AS results
FROM turns AS t
WHERE t.turn_id = ANY ($1::uuid[]) AND t.lane = $2
  AND ($3::integer IS NULL OR (t.status = 'suspended' AND t.seq <= $3))

-- name: await_signals
-- The signals of these turns that are due, those too that are being written. See functions/signal.sql.
SELECT inbox_id, turn_id, bucket, name, payload FROM await_signals($1::uuid[], $2::text)

-- name: due_inbox
-- What is due in these buckets, with the state of the turn it is meant for (a duplicate's rows are its original's). Rows
-- for turns that may still be in the log are left out (they would keep the others from the page): all until its partition
-- is accepted through ten minutes after they were sent, however long that takes. Whose turn is not here then never comes.
SELECT b.inbox_id, coalesce(t.duplicate_of, b.turn_id), b.bucket, b.kind, b.name, b.correlation, b.payload,
       coalesce(o.status, t.status)
FROM inbox AS b
LEFT JOIN turns AS t ON t.turn_id = b.turn_id
LEFT JOIN turns AS o ON o.turn_id = t.duplicate_of
WHERE b.lane = $1 AND b.state = 'due' AND b.due_at <= now()
  AND (t.turn_id IS NOT NULL OR b.sent_at < (
    SELECT max(p.accepted_through) - interval '10 minutes'
    FROM lane_logs AS l JOIN positions AS p ON p.lane = l.lane AND p.partition = b.bucket * l.partition_count / 1024
    WHERE l.lane = b.lane))
  AND EXISTS (SELECT 1 FROM unnest($2::smallint[], $3::smallint[]) AS mine (first, last) WHERE b.bucket BETWEEN mine.first AND mine.last)
ORDER BY b.due_at LIMIT $4

-- name: next_due
-- Seconds until the next row of these buckets falls due.
SELECT extract(epoch FROM b.due_at - now())::double precision FROM inbox AS b
WHERE b.lane = $1 AND b.state = 'due' AND b.due_at > now()
  AND EXISTS (SELECT 1 FROM unnest($2::smallint[], $3::smallint[]) AS mine (first, last) WHERE b.bucket BETWEEN mine.first AND mine.last)
ORDER BY b.due_at LIMIT 1
