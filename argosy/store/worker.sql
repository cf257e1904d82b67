-- name: register_worker
-- A worker process begins.
INSERT INTO workers (worker_id, kind, lane, build, host, pid, address, metrics_port, slots)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: upsert_workflows
-- What it can run.
INSERT INTO workflows (lane, name, version, build, description)
SELECT $1, u.name, u.version, $2, u.description
FROM unnest($3::text[], $4::text[], $5::text[]) AS u (name, version, description)
ORDER BY u.name, u.version
ON CONFLICT (lane, name, version) DO UPDATE SET build = excluded.build, description = excluded.description, last_seen_at = now()

-- name: beat
-- The worker lives.
INSERT INTO heartbeats (worker_id, draining, in_flight) VALUES ($1, $2, $3)
ON CONFLICT (worker_id) DO UPDATE SET at = now(), draining = excluded.draining, in_flight = excluded.in_flight

-- name: remove_worker
-- The worker is gone in an orderly way.
DELETE FROM workers WHERE worker_id = $1

-- name: forget_workers
-- Workers that died long ago, and their streams. One that wakes up after all finds no stream: what it owned is void.
WITH gone AS (
  DELETE FROM workers AS w
  WHERE w.started_at < now() - make_interval(secs => $1)
    AND NOT EXISTS (SELECT 1 FROM heartbeats AS h
                    WHERE h.worker_id = w.worker_id AND h.at > now() - make_interval(secs => $1))
  RETURNING w.worker_id)
DELETE FROM flush_streams AS s
WHERE s.worker_id IN (SELECT worker_id FROM gone)
   OR (s.at < now() - make_interval(secs => $1) AND NOT EXISTS (SELECT 1 FROM workers AS w WHERE w.worker_id = s.worker_id))
