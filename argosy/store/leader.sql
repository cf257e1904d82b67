-- name: wait_for_role
-- Granted when nobody leads. The session's lock_timeout bounds the wait.
SELECT pg_advisory_lock(role_lock($1))

-- name: lock_timeout
-- For how long this session waits in a lock.
SELECT set_config('lock_timeout', $1, false)

-- name: take_term
-- A new leader, with a term of its own.
INSERT INTO leaders AS l (role, term, leader, host, pid) VALUES ($1, 1, $2, $3, $4)
ON CONFLICT (role) DO UPDATE SET term = l.term + 1, leader = excluded.leader, host = excluded.host, pid = excluded.pid,
  since = now(), ticked_at = now(), outcome = ''
RETURNING term

-- name: note_tick
-- The leader lives, and how its last tick came out. No row: somebody else leads.
UPDATE leaders SET ticked_at = now(), outcome = $3 WHERE role = $1 AND term = $2 RETURNING term

-- name: end_silent
-- Ends the session of a leader that has said nothing for too long: it has stopped, and keeps its lock.
SELECT count(pg_terminate_backend(k.pid)) FROM pg_locks AS k
WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1 AND k.pid <> pg_backend_pid()
  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (k.classid::bigint << 32 | k.objid::bigint) = role_lock($1)
  AND EXISTS (SELECT 1 FROM leaders AS l WHERE l.role = $1 AND l.ticked_at < now() - make_interval(secs => $2))

-- name: list_leaders
-- Who leads what; is_held: somebody holds the lock of the role now.
SELECT l.role, l.term, l.leader, l.host, l.pid, l.since, l.ticked_at, l.outcome,
       EXISTS (SELECT 1 FROM pg_locks AS k
               WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1
                 AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND (k.classid::bigint << 32 | k.objid::bigint) = role_lock(l.role)) AS is_held
FROM leaders AS l ORDER BY l.role
