-- name: begin_job
-- A job whose upload begins or goes on has a row (functions/ingest.sql).
SELECT begin_job($1::uuid, $2::text, $3::text, $4::uuid, $5::text, $6::smallint, $7::text, $8::text)

-- name: note_received
-- What the log has acknowledged of an upload; whether its job still runs (functions/ingest.sql).
SELECT note_received($1::uuid, $2::text, $3::bigint, $4::bytea, $5::bigint, $6::boolean)

-- name: end_job
-- A job's end, once (functions/ingest.sql).
SELECT end_job($1::uuid, $2::text, $3::text, $4::text)

-- name: end_replaced
-- Jobs that read what the topic of this one was before, or what this one goes on with, end; which (functions/ingest.sql).
SELECT end_replaced($1::uuid)

-- name: cancel_job
-- A tenant's job has ended now (functions/ingest.sql).
SELECT cancel_job($1::uuid, $2::text)

-- name: wait_for_job
-- A turn is told of the end of a tenant's job (functions/ingest.sql).
SELECT wait_for_job($1::uuid, $2::text, $3::uuid, $4::text)

-- name: find_job
-- One job of a tenant. $3: for how long a silent ingest worker counts as alive, seconds; NULL: whether one lives is not asked.
SELECT job_id, tenant, graph, incarnation, kind, bucket, idempotency_key, state, code, reason, log_id, received_line, received_chain,
       received_bytes, received_at, end_line, end_chain, next_line, next_chain, applied, rejected, rejects_kept, rate_lines_s,
       shown_waits_for(ended_at, waits_for, (SELECT ingest_lives($3::double precision)), kind, changed_at) AS waits_for, seq, made_at, ended_at
FROM ingest_jobs WHERE job_id = $1 AND tenant = $2

-- name: find_jobs
-- Jobs by their ids, whoever asks has looked their tenants up before. $2: as $3 of find_job.
SELECT job_id, tenant, graph, incarnation, kind, bucket, idempotency_key, state, code, reason, log_id, received_line, received_chain,
       received_bytes, received_at, end_line, end_chain, next_line, next_chain, applied, rejected, rejects_kept, rate_lines_s,
       shown_waits_for(ended_at, waits_for, (SELECT ingest_lives($2::double precision)), kind, changed_at) AS waits_for, seq, made_at, ended_at
FROM ingest_jobs WHERE job_id = ANY ($1::uuid[])

-- name: list_jobs
-- A graph's jobs before a place in the order of their beginnings, the newest first; those of all its lives. $6: as $3 of
-- find_job.
SELECT job_id, tenant, graph, incarnation, kind, bucket, idempotency_key, state, code, reason, log_id, received_line, received_chain,
       received_bytes, received_at, end_line, end_chain, next_line, next_chain, applied, rejected, rejects_kept, rate_lines_s,
       shown_waits_for(ended_at, waits_for, (SELECT ingest_lives($6::double precision)), kind, changed_at) AS waits_for, seq, made_at, ended_at
FROM ingest_jobs
WHERE tenant = $1 AND graph = $2 AND (made_at, job_id) < ($3::timestamptz, $4::uuid)
ORDER BY made_at DESC, job_id DESC LIMIT $5

-- name: was_read
-- Whether a topic of this log was read into a graph of this name, or into one that was erased, whose job is nobody's.
SELECT EXISTS (SELECT 1 FROM ingest_jobs WHERE tenant = $1 AND graph = $2 AND kind = 'topic' AND log_id = $3)
    OR EXISTS (SELECT 1 FROM ingest_jobs WHERE tenant = '' AND graph = '' AND kind = 'topic' AND log_id = $3)

-- name: is_made_again
-- Whether another log than $2 was read under this lane into the life of a graph with this number, and nothing of $2 yet.
SELECT EXISTS (SELECT 1 FROM positions WHERE lane = $1 AND right(log_id, 33) = '/' || $3::text)
   AND NOT EXISTS (SELECT 1 FROM positions WHERE lane = $1 AND log_id = $2 || '/' || $3::text)

-- name: list_rejects
-- Refused lines of a tenant's job after one of them, in their order.
SELECT r.partition, r.line, r.code, r.reason, r.start FROM ingest_rejects AS r
WHERE r.job_id = (SELECT j.job_id FROM ingest_jobs AS j WHERE j.job_id = $1 AND j.tenant = $2)
  AND (r.partition, r.line) > ($3::integer, $4::bigint)
ORDER BY r.partition, r.line LIMIT $5

-- name: list_job_events
-- The events of a tenant's job after one of them, in order.
SELECT e.seq, e.lineage, e.type, e.data, e.at FROM ingest_events AS e
WHERE e.job_id = (SELECT j.job_id FROM ingest_jobs AS j WHERE j.job_id = $1 AND j.tenant = $2) AND e.seq > $3
ORDER BY e.seq LIMIT $4

-- name: list_ended_jobs
-- Those of these jobs that have ended.
SELECT job_id, state FROM ingest_jobs WHERE job_id = ANY ($1::uuid[]) AND ended_at IS NOT NULL

-- name: tell_lineage
-- The lineage of the database, before anything is read of it.
SELECT lineage()

-- name: note_ingest
-- What a worker found out (functions/ingest_notes.sql).
SELECT positions, states FROM note_ingest(
  $1::bigint, $2::text, $3::text,
  $4::integer[], $5::bigint[], $6::bigint[], $7::double precision[],
  $8::integer[], $9::bigint[], $10::bytea[], $11::text[], $12::text[],
  $13::uuid[], $14::text[], $15::text[], $16::uuid[], $17::smallint[], $18::timestamptz[],
  $19::bigint[], $20::bytea[], $21::bigint[], $22::bigint[], $23::double precision[], $24::text[],
  $25::bigint[], $26::bytea[], $27::text[], $28::text[], $29::text[],
  $30::uuid[], $31::integer[], $32::bigint[], $33::text[], $34::text[], $35::bytea[], $36::integer)

-- name: note_lost
-- Jobs whose lines the log has lost; how many (functions/ingest_notes.sql).
SELECT note_lost($1::bigint, $2::text, $3::integer[], $4::integer)

-- name: end_dropped
-- Jobs whose graphs were dropped; how many (functions/ingest_notes.sql).
SELECT end_dropped($1::integer[], $2::integer)

-- name: reset_position
-- A partition is read again, because the log lacks what it was done up to (functions/ingest_notes.sql).
SELECT reset_position($1::bigint, $2::text, $3::integer, $4::bigint, $5::bigint)

-- name: purge_ingest
-- Ended jobs are forgotten; how many (functions/ingest.sql).
SELECT purge_ingest($1::text, $2::bigint, $3::text, $4::double precision, $5::integer)

-- name: abandon_uploads
-- Uploads that nobody goes on with end; how many (functions/ingest.sql).
SELECT abandon_uploads($1::text, $2::bigint, $3::double precision, $4::integer)
