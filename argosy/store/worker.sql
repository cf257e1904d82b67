-- name: register_worker
-- A worker process begins, and what it can run: whoever sees the one sees the other.
WITH begun AS (
  INSERT INTO workers (worker_id, kind, lane, build, host, pid, address, metrics_port, slots)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING worker_id, worker_no),
able AS (
  INSERT INTO abilities (worker_id, name, version, is_latest)
  SELECT begun.worker_id, u.name, u.version, u.is_latest
  FROM begun, unnest($10::text[], $11::text[], $12::boolean[]) AS u (name, version, is_latest))
SELECT worker_no FROM begun

-- name: upsert_workflows
-- What it can run.
INSERT INTO workflows (lane, name, version, build, description)
SELECT $1, u.name, u.version, $2, u.description
FROM unnest($3::text[], $4::text[], $5::text[]) AS u (name, version, description)
ORDER BY u.name, u.version
ON CONFLICT (lane, name, version) DO UPDATE SET build = excluded.build, description = excluded.description, last_seen_at = now()

-- name: beat
-- The worker lives. Answers the lineage (a database that was promoted or restored is noticed by an idle worker, too) and
-- the log that its lane is on (so is one that another fleet put there).
WITH beat AS (
  INSERT INTO heartbeats (worker_id, draining, in_flight, owned, ready_sessions, lag, threads_abandoned, thread_waits)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
  ON CONFLICT (worker_id) DO UPDATE SET at = now(), draining = excluded.draining, in_flight = excluded.in_flight,
    owned = excluded.owned, ready_sessions = excluded.ready_sessions, lag = excluded.lag,
    threads_abandoned = excluded.threads_abandoned, thread_waits = excluded.thread_waits
  RETURNING worker_id)
SELECT lineage(), l.cluster_id, l.topic
FROM beat LEFT JOIN workers AS w ON w.worker_id = beat.worker_id LEFT JOIN lane_logs AS l ON l.lane = w.lane

-- name: take_lock
-- The sign of life: freed when this session ends, however it ends.
SELECT pg_try_advisory_lock(worker_lock($1))

-- name: end_lock_holders
-- Backends that hold the sign of life of this worker although it has lost their connection: freed when this returns.
SELECT count(pg_terminate_backend(pid, 1000))
FROM (SELECT DISTINCT k.pid FROM pg_locks AS k
      WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1 AND k.pid <> pg_backend_pid()
        AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (k.classid::bigint << 32 | k.objid::bigint) = worker_lock($1)) AS held

-- name: bound_wait
-- A statement that waits keeps its snapshot, and vacuum from what died since: it is begun anew now and then.
SELECT set_config('lock_timeout', $1, false)

-- name: wait_for_death
-- Granted when the worker's session has ended, and let go at once: a watcher that has stopped must not hold it.
SELECT pg_advisory_xact_lock_shared(worker_lock($1))

-- name: notify_fleet
-- Everybody looks who lives.
SELECT pg_notify('argosy_fleet', '')

-- name: list_known
-- The workers that were heard of in the last hour.
SELECT worker_id, worker_no, lane, address, is_draining, holds_lock, heard_s, server_up_s
FROM signs_of_life
WHERE kind = 'dispatch' AND heard_s < 3600
ORDER BY worker_no

-- name: remove_worker
-- The worker is gone in an orderly way: until now there was one that could run this.
WITH had AS (
  UPDATE workflows AS f SET last_seen_at = now()
  FROM workers AS w JOIN abilities AS a ON a.worker_id = w.worker_id
  WHERE w.worker_id = $1 AND f.lane = w.lane AND f.name = a.name AND f.version = a.version)
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
