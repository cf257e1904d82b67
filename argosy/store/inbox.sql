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
