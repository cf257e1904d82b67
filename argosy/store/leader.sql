-- name: set_wait
-- For how long this session waits in a lock.
SELECT set_config('lock_timeout', $1, false)

-- name: wait_for_role
-- Granted when nobody leads.
SELECT pg_advisory_lock(role_lock($1))

-- name: look_at_role
-- How many sessions wait for the role, and how many that held it were ended here: a leader's session asks something again
-- and again, and one that was idle for $2 seconds has stopped, or hears nothing any more.
WITH candidate AS MATERIALIZED (
  SELECT k.pid, k.granted FROM pg_locks AS k
  WHERE k.locktype = 'advisory' AND k.objsubid = 1
    AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (k.classid::bigint << 32 | k.objid::bigint) = role_lock($1)),
ended AS MATERIALIZED (
  SELECT pg_terminate_backend(c.pid) FROM candidate AS c JOIN pg_stat_activity AS a ON a.pid = c.pid
  WHERE c.granted AND a.state_change < clock_timestamp() - make_interval(secs => $2))
SELECT (SELECT count(*) FROM candidate WHERE NOT granted) AS waiting, (SELECT count(*) FROM ended) AS ended

-- name: take_term
-- A new leader, with a term of its own.
SELECT take_term($1, $2, $3, $4)

-- name: has_term
-- Whether this term is the one that counts.
SELECT EXISTS (SELECT 1 FROM leaders WHERE role = $1 AND term = $2)

-- name: note_tick
-- How the leader's last tick came out. No row: somebody else leads.
UPDATE leaders SET ticked_at = now(), outcome = $3 WHERE role = $1 AND term = $2 RETURNING term

-- name: list_leaders
-- Who leads what; is_held: somebody holds the lock of the role now.
SELECT l.role, l.term, l.worker_id, l.host, l.pid, l.since, l.ticked_at, l.outcome,
       EXISTS (SELECT 1 FROM pg_locks AS k
               WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1
                 AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND (k.classid::bigint << 32 | k.objid::bigint) = role_lock(l.role)) AS is_held
FROM leaders AS l ORDER BY l.role

-- name: is_led
-- Whether somebody holds the lock of a role now.
SELECT EXISTS (SELECT 1 FROM pg_locks AS k
               WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1
                 AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND (k.classid::bigint << 32 | k.objid::bigint) = role_lock($1))
