-- name: begin_erasure
-- One that is there already stays as it is: a request with the same key made it.
INSERT INTO erasures (erasure_id, tenant, lane, kind, target, target_digest, session_id, bucket)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING

-- name: begin_audited_erasure
-- The same, and the audit tells it.
WITH begun AS (
  INSERT INTO erasures (erasure_id, tenant, lane, kind, target, target_digest, session_id, bucket)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING 1)
SELECT add_audit(($9::text, $10::text, $11::uuid, $12::text, $13::text, $14::text, $15::text, $16::text, $17::text, $18::text)::act, 1) FROM begun

-- name: get_erasure
-- An erasure of a tenant.
SELECT erasure_id, tenant, lane, kind, target, target_digest, session_id, bucket, stage, cursor, waits_for, through_at, asked_at,
       changed_at, ended_at, extract(epoch FROM now() - changed_at)::double precision, fenced_at,
       greatest(extract(epoch FROM fenced_at - now()), 0)::double precision
FROM erasures WHERE erasure_id = $1 AND tenant = $2

-- name: list_erasures
-- Erasures of a tenant, newest first, after a place in that order.
SELECT erasure_id, tenant, lane, kind, target, target_digest, session_id, bucket, stage, cursor, waits_for, through_at, asked_at,
       changed_at, ended_at, extract(epoch FROM now() - changed_at)::double precision, fenced_at,
       greatest(extract(epoch FROM fenced_at - now()), 0)::double precision
FROM erasures WHERE tenant = $1 AND (asked_at, erasure_id) < ($2::timestamptz, $3::uuid)
ORDER BY asked_at DESC, erasure_id DESC LIMIT $4

-- name: get_deletion
-- The erasure by which a tenant of this name was deleted last.
SELECT erasure_id, tenant, lane, kind, target, target_digest, session_id, bucket, stage, cursor, waits_for, through_at, asked_at,
       changed_at, ended_at, extract(epoch FROM now() - changed_at)::double precision, fenced_at,
       greatest(extract(epoch FROM fenced_at - now()), 0)::double precision
FROM erasures WHERE tenant = $1 AND fenced_at IS NOT NULL ORDER BY asked_at DESC, erasure_id DESC LIMIT 1

-- name: list_open
-- Erasures that are not done, the oldest first, after a place in that order.
SELECT erasure_id, tenant, lane, kind, target, target_digest, session_id, bucket, stage, cursor, waits_for, through_at, asked_at,
       changed_at, ended_at, extract(epoch FROM now() - changed_at)::double precision, fenced_at,
       greatest(extract(epoch FROM fenced_at - now()), 0)::double precision
FROM erasures WHERE ended_at IS NULL AND (asked_at, erasure_id) > ($1::timestamptz, $2::uuid)
ORDER BY asked_at, erasure_id LIMIT $3

-- name: get_items
-- The receipts of erasures.
SELECT erasure_id, place, what, count, until FROM erasure_items WHERE erasure_id = ANY ($1::uuid[])
ORDER BY erasure_id, place, what

-- name: step_erasure
-- See functions/erasure.sql, as for all that call a function of the same name below.
SELECT step_erasure($1::text, $2::bigint, $3::uuid, $4::text, $5::text)

-- name: note_erasure
-- Note how far the stage is, and what it waits for.
SELECT note_erasure($1::text, $2::bigint, $3::uuid, $4::text, $5::text, $6::text)

-- name: note_forgotten
-- Count what was forgotten in a graph.
SELECT note_forgotten($1::text, $2::bigint, $3::uuid, $4::text, $5::bigint, $6::bigint)

-- name: count_waiting
-- How many erasures cannot go on, by stage, and for how long nothing of them has changed at the most.
SELECT stage, count(*), max(extract(epoch FROM now() - changed_at))::double precision FROM erasures
WHERE ended_at IS NULL AND waits_for <> '' GROUP BY stage

-- name: find_unread
-- Lanes whose log was not read up to when an erasure ($1) was asked for, or up to its fence, where records of it may lie, with the time up to
-- which each was read (NULL: never); and those where turns wait that other turns had started by then. NULL bucket: in every
-- partition.
SELECT u.lane, nullif(min(u.through), '-infinity') FROM (
  SELECT l.lane, r.through FROM erasures AS e
  JOIN lane_logs AS l ON CASE e.kind WHEN 'tenant' THEN true WHEN 'graph' THEN l.lane = '*ingest' ELSE l.lane = e.lane END
  CROSS JOIN LATERAL generate_series(0, l.partition_count - 1) AS p (partition)
  CROSS JOIN LATERAL (SELECT coalesce((
    SELECT n.accepted_through FROM positions AS n
    WHERE n.log_id = l.cluster_id || '/' || l.topic_id AND n.partition = p.partition ORDER BY n.position DESC LIMIT 1), '-infinity')) AS r (through)
  WHERE e.erasure_id = $1 AND (e.bucket IS NULL OR p.partition = e.bucket * l.partition_count / 1024) AND r.through < coalesce(e.fenced_at, e.asked_at)
  UNION ALL
  SELECT s.lane, s.sent_at FROM erasures AS e
  JOIN starts AS s ON s.tenant = e.tenant AND (e.kind = 'tenant' OR s.session_id = e.session_id)
  WHERE e.erasure_id = $1 AND e.kind IN ('tenant', 'session') AND s.sent_at <= coalesce(e.fenced_at, e.asked_at)) AS u
GROUP BY u.lane ORDER BY u.lane COLLATE "C" LIMIT 10

-- name: list_turns
-- Turns that are to be erased, a few.
SELECT turn, its_lane, its_partition, its_session, started_place, its_epoch FROM erasable_turns($1::uuid, false, $2::integer)

-- name: cancel_turns
-- Cancel turns that have to end first; how many are open.
SELECT cancel_erasable($1::text, $2::bigint, $3::uuid, $4::integer)

-- name: erase_turns
-- Erase turns of one partition.
SELECT erase_turns($1::text, $2::bigint, $3::uuid, $4::text, $5::integer, $6::uuid[])

-- name: drop_graphs
-- Have graphs dropped that go as a whole; how many are left.
SELECT drop_erasable($1::text, $2::bigint, $3::uuid, $4::integer)

-- name: erase_jobs
-- Erase jobs and their rejects, a few.
SELECT erase_jobs($1::text, $2::bigint, $3::uuid, $4::integer)

-- name: end_jobs_of
-- The jobs that turns started, a few, all of which have ended now.
SELECT job, its_graph, its_incarnation, its_made_at FROM end_jobs_of($1::text, $2::bigint, $3::uuid, $4::uuid[], $5::integer)

-- name: erase_ended_jobs
-- Erase jobs that have ended.
SELECT erase_ended_jobs($1::text, $2::bigint, $3::uuid, $4::uuid[])

-- name: has_copies
-- Whether a shard may have a copy of a graph that is not where the graph is.
SELECT EXISTS (
  SELECT 1 FROM graph_moves
  WHERE tenant = $1 AND graph = $2 AND incarnation = $3 AND ended_at IS NULL AND state <> 'planned')
  OR EXISTS (SELECT 1 FROM graph_moves WHERE tenant = $1 AND graph = $2 AND incarnation = $3 AND is_target_dirty)

-- name: erase_strays
-- Erase what belongs to no turn, a few.
SELECT erase_strays($1::text, $2::bigint, $3::uuid, $4::bytea, $5::integer[], $6::integer)

-- name: list_log_partitions
-- The partitions of Postgres's own logs.
SELECT topic_id, partition FROM log_partitions ORDER BY topic_id, partition

-- name: erase_log
-- Erase records of one partition of the log in Postgres, from a position on.
SELECT erase_log($1::text, $2::bigint, $3::uuid, $4::uuid, $5::integer, $6::bigint, $7::integer)

-- name: name_left
-- For how long a log outside Postgres has what was accepted up to now: $4 seconds; NULL: there is none.
SELECT name_left($1::text, $2::bigint, $3::uuid, now() + make_interval(secs => $4::double precision))

-- name: name_audit
-- For how long the audit has its rows: $4 seconds.
SELECT name_audit($1::text, $2::bigint, $3::uuid, now() + make_interval(secs => $4::double precision))

-- name: purge_erasures
-- Forget receipts that are old.
SELECT purge_erasures($1::text, $2::bigint, $3::double precision, $4::integer)
