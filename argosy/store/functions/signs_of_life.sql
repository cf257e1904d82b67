-- What is known of each process, as one snapshot: whether it holds the lock of its number (worker.sql, take_lock; whoever
-- waits for its death asks for the same lock, shared), since when nothing was heard of it, since when this server runs.
CREATE OR REPLACE VIEW signs_of_life AS
WITH held AS MATERIALIZED (
  SELECT (k.classid::bigint << 32) | k.objid::bigint AS key FROM pg_locks AS k
  WHERE k.locktype = 'advisory' AND k.mode = 'ExclusiveLock' AND k.granted AND k.objsubid = 1
    AND k.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
SELECT w.worker_id, w.worker_no, w.kind, w.lane, w.address, coalesce(h.draining, false) AS is_draining,
       EXISTS (SELECT 1 FROM held WHERE held.key = worker_lock(w.worker_no)) AS holds_lock,
       extract(epoch FROM clock_timestamp() - coalesce(h.at, w.started_at))::double precision AS heard_s,
       extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::double precision AS server_up_s
FROM workers AS w LEFT JOIN heartbeats AS h ON h.worker_id = w.worker_id;

-- Whether a worker lives: is_alive of argosy/life.py, for one look, which does not know for how long a free lock is free.
-- Compared by a test.
CREATE OR REPLACE FUNCTION is_alive(holds_lock boolean, heard_s double precision, server_up_s double precision, ttl_s double precision)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT least(heard_s, server_up_s) <= ttl_s AND (holds_lock OR server_up_s < 5)
$$;
