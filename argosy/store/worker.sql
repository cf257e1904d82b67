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
