-- name: list_abilities
-- What these workers can run.
SELECT worker_id, name, version, is_latest FROM abilities WHERE worker_id = ANY ($1::uuid[])

-- name: find_lacking
-- Of these turns those that no worker could run for so many seconds ($2).
SELECT u.turn_id FROM unnest($1::uuid[]) AS u (turn_id)
WHERE lacks_build_since(u.turn_id) < now() - make_interval(secs => $2)

-- name: lend
-- An owner lends turns, or takes them back. See functions/build.sql.
SELECT lend FROM lend($1::uuid, $2::text, $3::integer[], $4::bigint[], $5::integer[], $6::uuid[], $7::uuid[], $8::uuid[], $9::integer[], $10::text[])

-- name: list_lent
-- What became of turns that were lent.
SELECT turn_id, status, seq, lent_to, lent_as FROM turns WHERE turn_id = ANY ($1::uuid[])

-- name: load_borrowed
-- Turns that are lent to this worker and that it does not know yet ($3), each with the epoch of its partition, under which it
-- writes to graphs. One that has ended was ended by an owner of a version before loans, and nobody takes that back.
SELECT t.turn_id, t.tenant, t.session_id, (SELECT s.name FROM sessions AS s WHERE s.session_id = t.session_id), t.bucket,
       t.place, t.workflow, t.version, t.status, t.attempt, t.crashes, t.seq, t.priority, CASE WHEN octet_length(t.input) <= $4 THEN t.input END,
       EXISTS (SELECT 1 FROM inbox AS b WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.tenant = t.tenant AND b.kind IN ('signal', 'step_result') AND b.state IN ('due', 'buffered')),
       t.lent_as,
       coalesce((
         SELECT p.epoch FROM lane_logs AS l
         JOIN partitions AS p ON p.lane = l.lane AND p.partition = t.bucket * l.partition_count / 1024
         WHERE l.lane = t.lane), 0),
       t.created_by
FROM turns AS t
WHERE t.lent_to = $1 AND t.lane = $2 AND t.turn_id <> ALL ($3::uuid[]) AND NOT has_ended(t.status)
LIMIT $5

-- name: due_of_turns
-- What is due for these turns, and for their duplicates; without what the caller knows already ($2): $3 rows at the most, and
-- (but for the last one) $4 bytes of payloads.
-- The caller takes all that it reads in hand, and knows it at the next look: they hide others for one look, not for ever.
SELECT inbox_id, turn_id, bucket, kind, name, correlation, payload, tenant
FROM (
  SELECT d.*, sum(coalesce(octet_length(d.payload), 0)) OVER (ORDER BY d.due_at, d.inbox_id) - coalesce(octet_length(d.payload), 0) AS bytes_before
  FROM (
    SELECT b.inbox_id, t.turn_id, b.bucket, b.kind, b.name, b.correlation, b.payload, b.due_at, t.tenant
    FROM unnest($1::uuid[]) AS asked (turn_id)
    JOIN turns AS t ON t.turn_id = asked.turn_id
    CROSS JOIN LATERAL (SELECT turn_names(t.turn_id) AS names OFFSET 0) AS n
    JOIN inbox AS b ON b.turn_id = ANY (n.names) AND b.tenant = t.tenant AND b.state = 'due' AND b.due_at <= now()
    WHERE b.inbox_id <> ALL ($2::uuid[])
    ORDER BY b.due_at, b.inbox_id LIMIT $3) AS d) AS found
WHERE bytes_before < $4
ORDER BY due_at, inbox_id

-- name: give_back
-- The borrower does not run these any more: they are as it wrote them last. $3: how they go on when they are running; NULL:
-- with the same attempt.
UPDATE turns SET lent_to = NULL, lent_as = $3 WHERE turn_id = ANY ($1::uuid[]) AND lent_to = $2
