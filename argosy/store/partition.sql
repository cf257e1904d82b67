-- name: claim
-- Become the owner of partitions: a new epoch for each. See functions/partition.sql.
SELECT claimed_partition, claimed_epoch, former_owner, former_epoch FROM claim($1::uuid, $2::text, $3::text, $4::integer[], $5::bigint[])

-- name: end_holders
-- Ends the backends that hold a flush's lock of these partitions: their clients have stopped in the middle.
SELECT count(pg_terminate_backend(k.pid)) FROM pg_locks AS k
WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2 AND k.pid <> pg_backend_pid()
  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND k.classid = (partition_lock_class($1)::bigint & 4294967295)::oid AND k.objid = ANY ($2::integer[]::oid[])

-- name: give
-- Nobody owns these any more, if they were still ours, and this is what still runs here of their turns.
SELECT give($1::uuid, $2::text, $3::integer[], $4::bigint[], $5::boolean[], $6::integer[], $7::uuid[], $8::text[])

-- name: list_owned
-- What this worker owns, as everybody sees it.
SELECT partition, epoch FROM partitions WHERE lane = $1 AND owner = $2

-- name: list_orphans
-- Partitions that nobody owns, or somebody who does not live.
SELECT partition, epoch, owner FROM partitions WHERE lane = $1 AND (owner IS NULL OR owner <> ALL ($2::uuid[]))

-- name: load_notes
-- What former owners left of these partitions: turns of which a step may still run elsewhere (those whose runner has
-- said that it is done are left out), and under which epochs there is a note at all.
SELECT h.partition, h.epoch, h.is_settled,
       ARRAY(SELECT ROW(t.turn, t.runner) FROM unnest(h.turn_ids, h.runners) AS t (turn, runner)
             WHERE NOT EXISTS (SELECT 1 FROM inbox AS b WHERE b.turn_id = t.turn AND b.kind = 'handover' AND b.name = t.runner))
FROM handovers AS h
WHERE h.lane = $1 AND h.partition = ANY ($2::integer[])

-- name: mark_crashes
-- When an owner of these partitions ($2) died last; of some of them ($3) the one before has died, which is only known now:
-- after the claim, so that nothing which the dead one wrote is younger. The rows are locked in the order in which claims do.
WITH dead AS (
  SELECT partition FROM partitions WHERE lane = $1 AND partition = ANY ($3::integer[]) ORDER BY partition FOR UPDATE),
marked AS (
  UPDATE partitions SET crashed_at = clock_timestamp()
  WHERE lane = $1 AND partition = ANY (ARRAY(SELECT d.partition FROM dead AS d))
  RETURNING partition, crashed_at)
SELECT p.partition, coalesce(extract(epoch FROM coalesce(m.crashed_at, p.crashed_at)), 0)::double precision
FROM partitions AS p LEFT JOIN marked AS m ON m.partition = p.partition
WHERE p.lane = $1 AND p.partition = ANY ($2::integer[])

-- name: insert_results
-- What a former owner still has to say about turns: outcomes of steps, and that it is done. Once per outcome, or per
-- turn and runner.
INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, correlation, request_id, payload)
SELECT gen_random_uuid(), $1, u.bucket, u.tenant, u.session, u.turn, u.kind, u.name, u.correlation, u.request, u.payload
FROM unnest($2::smallint[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[])
  AS u (bucket, tenant, session, turn, kind, name, correlation, request, payload)
ON CONFLICT (turn_id, kind, name, request_id) WHERE request_id IS NOT NULL DO NOTHING

-- name: open_positions
-- The first position of partitions that have none in this log: see functions/position.sql.
INSERT INTO positions (log_id, partition, lane, position)
SELECT $1, u.partition, $2, u.position FROM unnest($3::integer[], $4::bigint[]) AS u (partition, position)
ON CONFLICT DO NOTHING

-- name: list_positions
-- Where these partitions of a log are accepted up to, and through which time: -infinity as long as nobody knows.
SELECT u.partition, p.position, extract(epoch FROM p.accepted_through)::double precision FROM unnest($2::integer[]) AS u (partition)
CROSS JOIN LATERAL (
  SELECT n.position, n.accepted_through FROM positions AS n WHERE n.log_id = $1 AND n.partition = u.partition
  ORDER BY n.position DESC LIMIT 1) AS p
