-- flush: what a worker's turns want written, in one call. Per turn one row of u_ with what it was and what it becomes
-- (transitions since the last flush are folded), its events, and its inbox rows. A partition whose fence does not hold is
-- left out whole (held = false); a turn that is not as expected is left out with all that belongs to it
-- (applied = false) and is read again by the caller. A turn that ends takes along what was addressed to it and is still
-- open: its timers are deleted, all else came late. (A plain one, queued before this flush and completed or failed by it,
-- can have neither a timer nor a row that the caller does not know: it is not looked for.)
-- A turn of partition -1 is a borrowed one: its fence is lent_to in its own row. It is its owner's again once it rests or
-- ends; and an owner that writes a turn takes it back.
--   i_: new inbox rows; i_due_s: seconds from now. i_turn NULL: a row of the turn itself. Else a row for another turn, at the
--       address that it says, in i_lane (NULL: this lane), and always of the writer's tenant. It goes with its writer: it is
--       there when the writer is applied, and only then. Whose it is has no fence here, as with every sender: its owner
--       takes the row in under a fence of its own. i_request: one row per turn, kind, name and request, however often it is
--       said. No signals, which are written under a lock of their turn (signal.sql).
--       Kind start: there is no such turn yet; i_payload is its record, and it waits in `starts` to be accepted, as one of the
--       writer's principal.
--   x_: inbox rows that take effect here; x_to: consumed | buffered | late | deleted
--   l_: delayed turns that fell due: each gets its place, or is rejected when busy
-- u_index in e_, i_, x_: 1-based index into u_; 0 (x_ only): belongs to no turn of this flush.
CREATE OR REPLACE FUNCTION flush(
  p_worker uuid, p_no bigint, p_lane text,
  p_partitions integer[], p_epochs bigint[],
  u_partition integer[], u_turn uuid[], u_old_status text[], u_old_attempt integer[], u_old_seq integer[],
  u_status text[], u_attempt integer[], u_seq integer[], u_crashes smallint[], u_version text[],
  u_result bytea[], u_error bytea[], u_waits bytea[], u_reason text[], u_trial bytea[],
  e_index integer[], e_seq integer[], e_attempt integer[], e_type text[], e_key text[], e_data bytea[],
  i_index integer[], i_id uuid[], i_lane text[], i_bucket smallint[], i_session uuid[], i_turn uuid[],
  i_kind text[], i_name text[], i_correlation text[], i_request text[], i_payload bytea[], i_due_s double precision[],
  x_index integer[], x_partition integer[], x_id uuid[], x_to text[],
  l_partition integer[], l_turn uuid[]
) RETURNS flush_answer LANGUAGE plpgsql VOLATILE
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  result flush_answer;
  here bigint := lineage();
  held integer[];
  all_held boolean;
  done_index bigint[];
  ended uuid[];
  moved_to text;
  moved uuid[];
  i integer;
  delayed turns%ROWTYPE;
BEGIN
  IF is_repeated(p_worker, 2::smallint, p_no) THEN
    SELECT (answer).* INTO result FROM flush_streams WHERE worker_id = p_worker AND stream = 2 AND no = p_no;
    RETURN result;
  END IF;
  result.held := fence(p_worker, p_lane, p_partitions, p_epochs);
  result.at := clock_timestamp();
  held := ARRAY(SELECT u.partition FROM unnest(p_partitions, result.held) AS u (partition, held) WHERE u.held);
  all_held := cardinality(held) = cardinality(p_partitions);
  IF cardinality(l_turn) > 0 THEN
    PERFORM lock_places(p_lane, l_partition);
  END IF;

  IF cardinality(u_turn) > 0 THEN
    WITH done AS (
      UPDATE turns AS t SET
        status = u.status, attempt = u.attempt, seq = u.seq, crashes = u.crashes, version = coalesce(u.version, t.version),
        result = u.result, error = u.error, waits = u.waits, reason = u.reason, trial = u.trial,
        started_at = CASE WHEN u.attempt > 0 THEN coalesce(t.started_at, now()) END,
        ended_at = CASE WHEN has_ended(u.status) THEN now() END,
        lent_to = CASE WHEN u.partition < 0 AND u.status IN ('queued', 'running') THEN t.lent_to END,
        lent_as = CASE WHEN u.partition < 0 AND u.status IN ('queued', 'running') THEN t.lent_as END
      FROM unnest(u_partition, u_turn, u_old_status, u_old_attempt, u_old_seq, u_status, u_attempt, u_seq, u_crashes,
                  u_version, u_result, u_error, u_waits, u_reason, u_trial) WITH ORDINALITY
        AS u (partition, turn, old_status, old_attempt, old_seq, status, attempt, seq, crashes,
              version, result, error, waits, reason, trial, ord)
      WHERE t.turn_id = u.turn AND t.status = u.old_status AND t.attempt = u.old_attempt AND t.seq = u.old_seq
        AND may_become(u.old_status, u.status)
        AND CASE WHEN u.partition < 0 THEN t.lent_to = p_worker ELSE all_held OR u.partition = ANY (held) END
      RETURNING u.ord, CASE WHEN has_ended(u.status) AND NOT (
        u.old_status = 'queued' AND u.status IN ('completed', 'failed') AND t.not_before IS NULL AND t.deadline_s IS NULL)
        THEN t.turn_id END AS ended)
    SELECT coalesce(array_agg(ord), '{}'), array_agg(done.ended) FILTER (WHERE done.ended IS NOT NULL)
    INTO done_index, ended FROM done;
    IF cardinality(done_index) < cardinality(u_turn) THEN
      result.applied := ARRAY(SELECT g = ANY (done_index) FROM generate_series(1, cardinality(u_turn)) AS g ORDER BY g);
    END IF;

    INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data, at)
    SELECT u_turn[e.index], e.seq, here, e.attempt, e.type, e.key, e.data, result.at
    FROM unnest(e_index, e_seq, e_attempt, e_type, e_key, e_data) AS e (index, seq, attempt, type, key, data)
    WHERE result.applied IS NULL OR result.applied[e.index];
  END IF;

  FOR i IN 1..cardinality(l_turn) LOOP
    CONTINUE WHEN NOT l_partition[i] = ANY (held);
    SELECT * INTO delayed FROM turns WHERE turn_id = l_turn[i] AND status = 'queued' AND place IS NULL FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    IF delayed.on_busy = 'reject' AND first_open(p_lane, delayed.bucket, delayed.session_id) IS NOT NULL THEN
      UPDATE turns SET status = 'rejected', reason = 'busy', idempotency_key = NULL, seq = delayed.seq + 1, ended_at = now()
      WHERE turn_id = delayed.turn_id;
      INSERT INTO events (turn_id, seq, lineage, attempt, type, data)
      VALUES (delayed.turn_id, delayed.seq + 1, here, 0, 'turn.rejected', convert_to('{"reason":"busy"}', 'UTF8'));
      ended := array_append(ended, delayed.turn_id);
    ELSE
      UPDATE turns SET place = nextval('places') WHERE turn_id = delayed.turn_id;
      IF delayed.deadline_s IS NOT NULL THEN
        INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, due_at)
        VALUES (gen_random_uuid(), p_lane, delayed.bucket, delayed.tenant, delayed.session_id, delayed.turn_id, 'timer',
                'deadline', now() + make_interval(secs => delayed.deadline_s));
      END IF;
    END IF;
  END LOOP;

  -- Behind all writes to turns and events, for a row that is said twice waits here for whoever says it first; and ahead of
  -- close_inbox, so that what is addressed to a turn that ends in this flush came late.
  IF cardinality(i_id) > 0 THEN
    INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, correlation, request_id, payload, due_at)
    SELECT i.id, coalesce(i.lane, t.lane), coalesce(i.bucket, t.bucket), t.tenant,
           CASE WHEN i.turn IS NULL THEN t.session_id ELSE i.session END, coalesce(i.turn, t.turn_id),
           i.kind, i.name, i.correlation, i.request, i.payload, now() + make_interval(secs => i.due_s)
    FROM unnest(i_index, i_id, i_lane, i_bucket, i_session, i_turn, i_kind, i_name, i_correlation, i_request, i_payload, i_due_s)
      AS i (index, id, lane, bucket, session, turn, kind, name, correlation, request, payload, due_s)
    JOIN turns AS t ON t.turn_id = u_turn[i.index]
    WHERE i.kind <> 'start' AND (result.applied IS NULL OR result.applied[i.index])
    ORDER BY coalesce(i.turn, t.turn_id), i.kind, i.name, i.request
    ON CONFLICT (turn_id, kind, name, request_id) WHERE request_id IS NOT NULL DO NOTHING;
    IF 'start' = ANY (i_kind) THEN
      -- Accepted in the order of sent_at: those that one flush writes stay in the order in which they were asked for.
      INSERT INTO starts (turn_id, lane, bucket, tenant, session_id, record, created_by, sent_at)
      SELECT i.turn, coalesce(i.lane, t.lane), i.bucket, t.tenant, i.session, i.payload, t.created_by, now() + i.ord * interval '1 microsecond'
      FROM unnest(i_index, i_lane, i_bucket, i_session, i_turn, i_kind, i_payload) WITH ORDINALITY
        AS i (index, lane, bucket, session, turn, kind, payload, ord)
      JOIN turns AS t ON t.turn_id = u_turn[i.index]
      WHERE i.kind = 'start' AND (result.applied IS NULL OR result.applied[i.index])
      ORDER BY i.turn
      ON CONFLICT DO NOTHING;
    END IF;
  END IF;

  -- By lists, not by joins: for a join the planner may go through the whole index of a table that holds little, and
  -- much that is dead.
  FOR moved_to IN SELECT DISTINCT u FROM unnest(x_to) AS u ORDER BY u LOOP
    moved := ARRAY(
      SELECT x.id FROM unnest(x_index, x_partition, x_id, x_to) AS x (index, partition, id, new_state)
      WHERE x.new_state = moved_to
        AND (all_held OR x.partition < 0 OR x.partition = ANY (held)) AND (x.index = 0 OR result.applied IS NULL OR result.applied[x.index]));
    IF moved_to = 'deleted' THEN
      DELETE FROM inbox WHERE inbox_id = ANY (moved);
    ELSE
      UPDATE inbox SET state = moved_to, payload = CASE WHEN moved_to <> 'late' THEN payload END
      WHERE inbox_id = ANY (moved) AND state IN ('due', 'buffered');
    END IF;
  END LOOP;

  IF ended IS NOT NULL THEN
    PERFORM close_inbox(ended);
  END IF;

  result.lineage := here;
  UPDATE flush_streams SET no = p_no, answer = result, at = now() WHERE worker_id = p_worker AND stream = 2 AND no = p_no - 1;
  RETURN result;
END
$$;

-- As processes of the version before call it: rows of its own turns only. A migration of the next release drops it.
CREATE OR REPLACE FUNCTION flush(
  p_worker uuid, p_no bigint, p_lane text,
  p_partitions integer[], p_epochs bigint[],
  u_partition integer[], u_turn uuid[], u_old_status text[], u_old_attempt integer[], u_old_seq integer[],
  u_status text[], u_attempt integer[], u_seq integer[], u_crashes smallint[], u_version text[],
  u_result bytea[], u_error bytea[], u_waits bytea[], u_reason text[], u_trial bytea[],
  e_index integer[], e_seq integer[], e_attempt integer[], e_type text[], e_key text[], e_data bytea[],
  i_index integer[], i_id uuid[], i_kind text[], i_name text[], i_correlation text[], i_payload bytea[], i_due_s double precision[],
  x_index integer[], x_partition integer[], x_id uuid[], x_to text[],
  l_partition integer[], l_turn uuid[]
) RETURNS flush_answer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN flush(
    p_worker, p_no, p_lane, p_partitions, p_epochs, u_partition, u_turn, u_old_status, u_old_attempt, u_old_seq,
    u_status, u_attempt, u_seq, u_crashes, u_version, u_result, u_error, u_waits, u_reason, u_trial, e_index, e_seq,
    e_attempt, e_type, e_key, e_data, i_index, i_id, '{}'::text[], '{}'::smallint[], '{}'::uuid[], '{}'::uuid[],
    i_kind, i_name, i_correlation, '{}'::text[], i_payload, i_due_s, x_index, x_partition, x_id, x_to, l_partition,
    l_turn);
END
$$;

-- What is still open of turns that have ended, under each of their names. Nothing is written when there is nothing.
CREATE OR REPLACE FUNCTION close_inbox(p_turns uuid[]) RETURNS void LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  names uuid[] := p_turns || ARRAY(SELECT d.turn_id FROM turns AS d WHERE d.duplicate_of = ANY (p_turns));
  left_over uuid[] := ARRAY(SELECT b.inbox_id FROM inbox AS b WHERE b.turn_id = ANY (names) AND b.state IN ('due', 'buffered'));
BEGIN
  IF cardinality(left_over) > 0 THEN
    DELETE FROM inbox WHERE inbox_id = ANY (left_over) AND kind = 'timer';
    UPDATE inbox SET state = 'late', payload = NULL WHERE inbox_id = ANY (left_over) AND kind <> 'timer';
  END IF;
END
$$;
