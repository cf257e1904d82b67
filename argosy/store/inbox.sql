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
SELECT sent_id, sent_payload, is_full, is_tenant_full
FROM send_early($1, $2, $3, $4::smallint, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: send_signal
-- The usual case in one statement: the row for a turn that is accepted, no duplicate, has not ended, and has room for it.
-- See functions/signal.sql.
SELECT to_session, to_status, to_attempt, to_seq, is_full FROM send_signal($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: resume_parked
-- A resume for each parked turn of a tenant with this reason ($3) and workflow ($4; NULL: any) that has none on its way, and
-- none under this key ($5; NULL: one for each time that it was parked): $6 at the most, and whether there are more.
WITH found AS MATERIALIZED (
  SELECT t.turn_id, t.session_id, t.bucket, t.seq FROM turns AS t
  WHERE t.tenant = $1 AND t.lane = $2 AND t.status = 'parked'
    AND ($3::text IS NULL OR t.reason = $3) AND ($4::text IS NULL OR t.workflow = $4)
    AND NOT EXISTS (SELECT 1 FROM inbox AS b
                    WHERE b.turn_id = t.turn_id AND b.tenant = t.tenant AND b.kind = 'resume'
                      AND (b.state = 'due' OR b.request_id = coalesce($5::text, 'parked-' || t.seq)))
  ORDER BY t.turn_id
  LIMIT $6::integer + 1),
written AS (
  INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, request_id)
  SELECT gen_random_uuid(), $2, f.bucket, $1, f.session_id, f.turn_id, 'resume', coalesce($5::text, 'parked-' || f.seq)
  FROM (SELECT * FROM found ORDER BY turn_id LIMIT $6::integer) AS f
  ON CONFLICT DO NOTHING
  RETURNING bucket)
SELECT (SELECT count(*) FROM written), ARRAY(SELECT DISTINCT bucket FROM written), (SELECT count(*) FROM found) > $6::integer
