-- name: insert_inbox
-- One row to the owner of a turn, once per (turn, kind, name, request). No row back: it was there already.
INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, request_id, payload)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (turn_id, kind, name, request_id) WHERE request_id IS NOT NULL DO NOTHING
RETURNING inbox_id

-- name: find_inbox_request
-- The row that an earlier request wrote.
SELECT inbox_id, payload
FROM inbox
WHERE turn_id = $1 AND kind = $2 AND name = $3 AND request_id = $4 AND tenant = $5 AND lane = $6

-- name: send_early
-- The row of a request to a turn that is not here yet; none when it is. See functions/early.sql.
SELECT sent_id, sent_payload FROM send_early($1, $2, $3, $4::smallint, $5, $6, $7, $8, $9, $10)

-- name: send_signal
-- The usual case in one statement: the row for a turn that is accepted, no duplicate, and has not ended. No row back: it
-- is none of these, or the request has a row already. Held until the commit: signal_lock (functions/signal.sql).
WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(signal_lock($1))),
head AS (
  SELECT turn_id, session_id, status, attempt, seq, duplicate_of, bucket FROM held, turns
  WHERE turn_id = $1 AND tenant = $2 AND lane = $3 AND duplicate_of IS NULL AND ended_at IS NULL),
written AS (
  INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, request_id, payload)
  SELECT $4, $3, bucket, $2, session_id, turn_id, 'signal', $5, $6, $7 FROM head
  ON CONFLICT (turn_id, kind, name, request_id) WHERE request_id IS NOT NULL DO NOTHING
  RETURNING turn_id)
SELECT head.turn_id, head.session_id, head.status, head.attempt, head.seq, head.duplicate_of
FROM head JOIN written ON written.turn_id = head.turn_id
