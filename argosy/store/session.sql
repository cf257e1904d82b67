-- name: list_sessions
-- Sessions of a tenant, newest first, after a place in that order.
SELECT session_id, name, created_at
FROM sessions
WHERE tenant = $1 AND lane = $2 AND (created_at, session_id) < ($3::timestamptz, $4::uuid)
ORDER BY created_at DESC, session_id DESC
LIMIT $5

-- name: list_sessions_like
-- The same, of sessions with one of these names, or whose name begins with one of these beginnings.
SELECT session_id, name, created_at
FROM sessions
WHERE tenant = $1 AND lane = $2 AND (created_at, session_id) < ($3::timestamptz, $4::uuid)
  AND (name = ANY ($6::text[]) OR EXISTS (SELECT FROM unnest($7::text[]) AS b (beginning) WHERE starts_with(name, b.beginning)))
ORDER BY created_at DESC, session_id DESC
LIMIT $5

-- name: get_session
-- One session: its head (what it runs or would run next) and how many turns wait for their turn, counted to 10000.
SELECT s.name, s.created_at, head.turn_id AS head_turn_id, head.status AS head_status,
       (SELECT count(*) FROM (
          SELECT 1 FROM turns AS o
          WHERE o.lane = s.lane AND o.bucket = s.bucket AND o.session_id = s.session_id AND o.status = 'queued'
            AND o.place IS NOT NULL
          LIMIT 10000) AS waiting) AS turns_queued
FROM sessions AS s
LEFT JOIN LATERAL (
  SELECT o.turn_id, o.status FROM turns AS o
  WHERE o.lane = s.lane AND o.bucket = s.bucket AND o.session_id = s.session_id
    AND o.status IN ('queued', 'running', 'suspended', 'parked') AND o.place IS NOT NULL
  ORDER BY o.place
  LIMIT 1) AS head ON true
WHERE s.session_id = $1 AND s.tenant = $2 AND s.lane = $3
