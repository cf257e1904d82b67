-- name: insert_inbox
-- One row to the owner of a turn, once per (turn, kind, name, request). No row back: it was there already, or the turn has so
-- many of this kind ($11) that it has not taken.
INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, request_id, payload)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
WHERE (SELECT count(*) FROM inbox AS b WHERE b.turn_id = $6 AND b.kind = $7 AND b.state IN ('due', 'buffered')) < $11::integer
ON CONFLICT (turn_id, kind, name, request_id) WHERE request_id IS NOT NULL DO NOTHING
RETURNING inbox_id

-- name: find_inbox_request
-- The row that an earlier request wrote.
SELECT inbox_id, payload
FROM inbox
WHERE turn_id = $1 AND kind = $2 AND name = $3 AND request_id = $4 AND tenant = $5 AND lane = $6

-- name: send_early
-- The row of a request to a turn that is not here yet, or whether there is no room for it; none when it is here. See
-- functions/early.sql.
SELECT sent_id, sent_payload, is_full FROM send_early($1, $2, $3, $4::smallint, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: send_signal
-- The usual case in one statement: the row for a turn that is accepted, no duplicate, has not ended, and has room for it.
-- See functions/signal.sql.
SELECT to_session, to_status, to_attempt, to_seq, is_full FROM send_signal($1, $2, $3, $4, $5, $6, $7, $8, $9)
