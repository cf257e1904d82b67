-- name: get_turn
-- One turn as a client sees it, with how many signals it has not taken, and how many came too late; with the first events of
-- its steps, in order: $4 at the most, and none after $5 bytes of data; whether there are more.
SELECT t.turn_id, t.session_id, s.name AS session, t.bucket, t.place, t.workflow, t.version, t.status, t.attempt,
       t.crashes, t.seq, t.priority, t.on_busy, t.not_before, t.deadline_s, t.duplicate_of, t.reason, t.started_at,
       t.ended_at, t.tags, t.created_by, t.input, t.result, t.error, t.waits,
       CASE WHEN t.reason = 'cancelling' THEN (
         SELECT e.data FROM events AS e WHERE e.turn_id = t.turn_id AND e.type = 'turn.cancelling' ORDER BY e.seq DESC LIMIT 1) END,
       sent.unread, sent.late, told.steps,
       told.found > coalesce(cardinality(told.steps), 0)
FROM turns AS t
JOIN sessions AS s ON s.session_id = t.session_id
CROSS JOIN LATERAL (
  SELECT array_agg(ROW(seq, attempt, type, key, at, data, lineage) ORDER BY seq)
           FILTER (WHERE number <= $4 AND bytes_before < $5) AS steps,
         count(*) AS found
  FROM (
    SELECT first.*, sum(octet_length(data)) OVER (ORDER BY seq) - octet_length(data) AS bytes_before,
           row_number() OVER (ORDER BY seq) AS number
    FROM (
      SELECT e.* FROM events AS e
      WHERE e.turn_id = t.turn_id AND e.type IN ('step.intended', 'step.completed', 'step.failed', 'step.retrying', 'step.cancelled')
      ORDER BY e.seq
      LIMIT $4::integer + 1) AS first) AS sized) AS told
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE b.state <> 'late') AS unread, count(*) FILTER (WHERE b.state = 'late') AS late
  FROM inbox AS b
  WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.tenant = t.tenant
    AND b.kind = 'signal' AND b.state IN ('due', 'buffered', 'late')) AS sent
WHERE t.turn_id = $1 AND t.tenant = $2 AND t.lane = $3

-- name: find_turn
-- What must be known of a turn to address something to it.
SELECT turn_id, session_id, status, attempt, seq, duplicate_of
FROM turns
WHERE turn_id = $1 AND tenant = $2 AND lane = $3

-- name: find_ended_turns
-- Which of many turns have ended or are parked. $1, $2: turns and their tenants. One index lookup each, whatever the
-- statistics say.
SELECT t.turn_id, t.duplicate_of, t.status = 'parked'
FROM unnest($1::uuid[], $2::text[]) AS u (turn_id, tenant)
CROSS JOIN LATERAL (
  SELECT o.turn_id, o.duplicate_of, o.status FROM turns AS o
  WHERE o.turn_id = u.turn_id AND o.tenant = u.tenant AND o.lane = $3
    AND (o.ended_at IS NOT NULL OR o.status = 'parked')
  LIMIT 1) AS t

-- name: find_moved_turns
-- Which of many turns ($1) have other than so many events ($2); ord: 1-based index into them. A turn that is gone has.
-- Nothing of a turn is told, so no tenant is asked for. One index lookup each, whatever the statistics say.
SELECT u.ord
FROM unnest($1::uuid[], $2::integer[]) WITH ORDINALITY AS u (turn_id, seq, ord)
LEFT JOIN LATERAL (SELECT o.seq FROM turns AS o WHERE o.turn_id = u.turn_id LIMIT 1) AS t ON true
WHERE t.seq IS DISTINCT FROM u.seq

-- name: find_turns_by_key
-- Which of many (session, idempotency key) have a turn. $1, $2: sessions and keys; ord: 1-based index into them.
-- One index lookup each, whatever the statistics say.
SELECT u.ord, t.turn_id, t.request_digest
FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS u (session_id, key, ord)
CROSS JOIN LATERAL (
  SELECT o.turn_id, o.request_digest FROM turns AS o
  WHERE o.session_id = u.session_id AND o.idempotency_key = u.key AND o.tenant = $3 AND o.lane = $4
  LIMIT 1) AS t

-- name: is_turn_expected
-- Whether a turn that is not here may still come: another turn of the tenant ($6) started it, and nobody has accepted it
-- yet; or the log was not yet read up to when it was appended at the latest.
-- $3: when its id was minted; $4: for how long an append may take, seconds; $5: its id. An id from the future is nobody's,
-- and one that is here or was started is its own tenant's.
SELECT NOT EXISTS (SELECT 1 FROM turns WHERE turn_id = $5)
   AND coalesce(
     (SELECT s.tenant = $6 AND s.lane = $1 FROM starts AS s WHERE s.turn_id = $5),
     $3::timestamptz < now() + interval '5 minutes'
       AND coalesce(max(accepted_through), '-infinity') <= $3::timestamptz + make_interval(secs => $4))
FROM positions
WHERE lane = $1 AND partition = $2

-- name: find_common_event
-- The last event of a turn up to one of them ($4) that was written under a lineage ($5) or an earlier one.
SELECT e.lineage, e.seq
FROM turns AS t
JOIN events AS e ON e.turn_id = t.turn_id
WHERE t.turn_id = $1 AND t.tenant = $2 AND t.lane = $3 AND e.seq <= $4 AND e.lineage <= $5
ORDER BY e.seq DESC
LIMIT 1

-- name: find_common_session_event
-- The last event of a session up to one of them ($5 of the turn at place $4) that was written under a lineage ($6) or an
-- earlier one; among the last $7 turns up to there.
SELECT t.turn_id, t.place, last.lineage, last.seq
FROM (
  SELECT o.turn_id, o.place FROM turns AS o
  WHERE o.session_id = $1 AND o.tenant = $2 AND o.lane = $3 AND o.place > 0 AND o.place <= $4
  ORDER BY o.place DESC
  LIMIT $7) AS t
CROSS JOIN LATERAL (
  SELECT e.lineage, e.seq FROM events AS e
  WHERE e.turn_id = t.turn_id AND e.lineage <= $6 AND (t.place < $4 OR e.seq <= $5)
  ORDER BY e.seq DESC
  LIMIT 1) AS last
ORDER BY t.place DESC
LIMIT 1

-- name: find_placed_turn
-- The first turn of a session at a place or after it.
SELECT turn_id, place
FROM turns
WHERE session_id = $1 AND tenant = $2 AND lane = $3 AND place > 0 AND place >= $4
ORDER BY place
LIMIT 1

-- name: find_present_place
-- The place of the last turn of a session before the first that has not ended; 0: there is none.
SELECT coalesce((
  SELECT t.place FROM turns AS t
  WHERE t.session_id = $1 AND t.tenant = $2 AND t.lane = $3 AND t.place > 0 AND t.place < coalesce((
    SELECT head.place FROM sessions AS s
    CROSS JOIN LATERAL (
      SELECT o.place FROM turns AS o
      WHERE o.lane = s.lane AND o.bucket = s.bucket AND o.session_id = s.session_id
        AND o.status IN ('queued', 'running', 'suspended', 'parked') AND o.place IS NOT NULL
      ORDER BY o.place
      LIMIT 1) AS head
    WHERE s.session_id = $1), 9223372036854775807)
  ORDER BY t.place DESC
  LIMIT 1), 0)

-- name: list_session_turns
-- Turns of a session, newest first, after a place in that order. $4: a status or NULL; $5: a tag or NULL.
SELECT turn_id, session_id, place, workflow, version, status, attempt, priority, duplicate_of, reason, accepted_at,
       started_at, ended_at, tags, created_by
FROM turns
WHERE session_id = $1 AND tenant = $2 AND lane = $3
  AND ($4::text IS NULL OR status = $4)
  AND ($5::text IS NULL OR (tags IS NOT NULL AND has_tag(tags, $5)))
  AND (accepted_at, turn_id) < ($6::timestamptz, $7::uuid)
ORDER BY accepted_at DESC, turn_id DESC
LIMIT $8

-- name: explain_turn
-- What decides whether a turn runs, as one snapshot.
-- $4: for how long a silent worker counts as alive, seconds; $5: partition of the turn's bucket; $6: for how long a step
-- may go on at a former owner, seconds. runner: a former owner (WORKER/EPOCH) that lives and has not said that it is done.
WITH living AS MATERIALIZED (
  SELECT s.worker_id FROM signs_of_life AS s
  WHERE s.kind = 'dispatch' AND s.lane = $3 AND is_alive(s.holds_lock, s.heard_s, s.server_up_s, $4))
SELECT now() AS at,
       t.status, t.place, t.attempt, t.crashes, t.reason, t.not_before, t.waits, t.workflow,
       (SELECT e.data FROM events AS e WHERE e.turn_id = t.turn_id AND e.type = 'turn.parked'
        ORDER BY e.seq DESC LIMIT 1) AS parked,
       head.turn_id AS head_turn_id, head.status AS head_status,
       (SELECT count(*) FROM (
          SELECT 1 FROM turns AS o
          WHERE o.lane = t.lane AND o.bucket = t.bucket AND o.session_id = t.session_id AND o.place < t.place
            AND o.status IN ('queued', 'running', 'suspended', 'parked') AND o.place IS NOT NULL
          LIMIT 10000) AS ahead) AS turns_ahead,
       (SELECT count(*) FROM living) AS workers_alive,
       mine.owner,
       EXISTS (SELECT 1 FROM living WHERE living.worker_id = mine.owner) AS is_owner_alive,
       (SELECT min(b.due_at) FROM inbox AS b
        WHERE b.turn_id = t.turn_id AND b.tenant = t.tenant AND b.kind = 'timer' AND b.state = 'due') AS next_timer_at,
       (SELECT array_agg(DISTINCT b.kind ORDER BY b.kind) FROM inbox AS b
        WHERE b.turn_id = t.turn_id AND b.tenant = t.tenant AND b.kind <> 'timer' AND b.state = 'due') AS undelivered,
       EXISTS (SELECT 1 FROM workflows AS f WHERE f.lane = t.lane AND f.name = t.workflow) AS is_workflow_known,
       held.runner, held.until AS runner_until, t.trial,
       t.version, t.lent_to,
       EXISTS (SELECT 1 FROM living WHERE living.worker_id = t.lent_to) AS is_borrower_alive,
       -- Of an owner that says nothing of what it can run nothing is known.
       NOT EXISTS (SELECT 1 FROM abilities AS a WHERE a.worker_id = mine.owner) OR EXISTS (
         SELECT 1 FROM abilities AS a
         WHERE a.worker_id = mine.owner AND a.name = t.workflow AND (t.version IS NULL OR a.version = t.version)) AS is_owner_able,
       ARRAY(SELECT DISTINCT a.worker_id FROM abilities AS a JOIN living ON living.worker_id = a.worker_id
             WHERE a.name = t.workflow AND (t.version IS NULL OR a.version = t.version) ORDER BY a.worker_id LIMIT 10) AS able,
       lacks_build_since(t.turn_id) AS lacking_since,
       -- By names, the first of the alphabet: [state, name, how many].
       ARRAY(SELECT ROW(sent.state, sent.name, sent.count) FROM (
          SELECT CASE b.state WHEN 'late' THEN 'late' ELSE 'unread' END AS state, b.name, count(*) AS count FROM inbox AS b
          WHERE b.turn_id = ANY (turn_names(t.turn_id)) AND b.tenant = t.tenant
            AND b.kind = 'signal' AND b.state IN ('due', 'buffered', 'late')
          GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 100) AS sent) AS signals,
       -- NULL: it does not wait for a thread.
       (SELECT max(h.threads_abandoned) FROM heartbeats AS h JOIN living ON living.worker_id = h.worker_id
        WHERE t.turn_id = ANY (h.thread_waits)) AS threads_abandoned,
       CASE WHEN t.reason = 'cancelling' THEN (
         SELECT e.data FROM events AS e WHERE e.turn_id = t.turn_id AND e.type = 'turn.cancelling' ORDER BY e.seq DESC LIMIT 1) END AS cancelling,
       -- How the last tries failed: [key of the step, data], the newest first.
       ARRAY(SELECT ROW(e.key, e.data) FROM events AS e
             WHERE t.status = 'suspended' AND e.turn_id = t.turn_id AND e.type = 'step.retrying'
             ORDER BY e.seq DESC LIMIT 20) AS retrying,
       (SELECT e.seq FROM events AS e WHERE e.turn_id = t.turn_id AND e.type = 'turn.parked'
        ORDER BY e.seq DESC LIMIT 1) AS parked_seq,
       ARRAY(SELECT e.seq FROM events AS e
             WHERE t.status = 'suspended' AND e.turn_id = t.turn_id AND e.type = 'step.retrying'
             ORDER BY e.seq DESC LIMIT 20) AS retrying_seqs
FROM turns AS t
LEFT JOIN partitions AS mine ON mine.lane = t.lane AND mine.partition = $5
LEFT JOIN LATERAL (
  SELECT note.runner, note.until FROM (
    SELECT n.runners[array_position(n.turn_ids, t.turn_id)] AS runner,
           greatest(n.at, mine.claimed_at) + make_interval(secs => $6) AS until
    FROM handovers AS n
    WHERE n.lane = t.lane AND n.partition = $5 AND n.epoch < mine.epoch AND t.turn_id = ANY (n.turn_ids)
    ORDER BY n.epoch DESC LIMIT 1) AS note
  JOIN living ON living.worker_id = split_part(note.runner, '/', 1)::uuid
  WHERE note.until > now()
    AND NOT EXISTS (SELECT 1 FROM inbox AS b
                    WHERE b.turn_id = t.turn_id AND b.kind = 'handover' AND b.name = note.runner)) AS held ON true
LEFT JOIN LATERAL (
  SELECT o.turn_id, o.status FROM turns AS o
  WHERE o.lane = t.lane AND o.bucket = t.bucket AND o.session_id = t.session_id
    AND o.status IN ('queued', 'running', 'suspended', 'parked') AND o.place IS NOT NULL
  ORDER BY o.place
  LIMIT 1) AS head ON true
WHERE t.turn_id = $1 AND t.tenant = $2 AND t.lane = $3

-- name: explain_arrival
-- What decides when a turn arrives that has no row yet. $2: its partition; $3: as $4 of explain_turn; $4, $5: its id and
-- tenant. started_at: when another turn started it; NULL: nobody did, and it is in the log.
WITH living AS MATERIALIZED (
  SELECT s.worker_id FROM signs_of_life AS s
  WHERE s.kind = 'dispatch' AND s.lane = $1 AND is_alive(s.holds_lock, s.heard_s, s.server_up_s, $3))
SELECT now() AS at,
       (SELECT nullif(max(p.accepted_through), '-infinity') FROM positions AS p WHERE p.lane = $1 AND p.partition = $2) AS accepted_through,
       (SELECT count(*) FROM living) AS workers_alive,
       EXISTS (SELECT 1 FROM partitions AS mine JOIN living ON living.worker_id = mine.owner
               WHERE mine.lane = $1 AND mine.partition = $2) AS is_owner_alive,
       (SELECT l.replaced_at FROM lane_logs AS l WHERE l.lane = $1) AS replaced_at,
       (SELECT l.replaced FROM lane_logs AS l WHERE l.lane = $1) AS replaced,
       (SELECT s.sent_at FROM starts AS s WHERE s.turn_id = $4 AND s.tenant = $5 AND s.lane = $1) AS started_at
