-- accept: a batch of the log becomes turns. Positions and turns move in one transaction; from its commit on the log is
-- not needed for these turns. Every record becomes exactly one row. A partition whose fence or position does not hold
-- is left out whole (held = false) and the others go on.
-- Turns that other turns started have no position: what is moved is their row in `starts`, which goes as the turn comes.
-- A partition whose p_to is NULL has such turns in this call, and no others. The fence alone is asked for it, and of its
-- turns those are left out (places NULL) that have no such row, or are here already: they were accepted before. Who posted
-- such a turn that row says, which has it from the row of the turn that started it; t_created_by is of records alone.
-- Of a dead letter that is too old to be of a new turn (expired_record) nothing is kept when its turn is here. `applied` says
-- then which of all dead letters are kept.
CREATE OR REPLACE FUNCTION accept(
  p_worker uuid, p_no bigint, p_lane text, p_log text,
  p_partitions integer[], p_epochs bigint[], p_from bigint[], p_to bigint[], p_through timestamptz[],
  t_partition integer[], t_turn uuid[], t_tenant text[], t_session uuid[], t_name text[], t_bucket smallint[],
  t_workflow text[], t_input bytea[], t_on_busy text[], t_priority smallint[], t_not_before timestamptz[],
  t_deadline_s double precision[], t_key text[], t_digest bytea[], t_tags bytea[], t_trace text[], t_created_by bytea[],
  d_partition integer[], d_position bigint[], d_value bytea[], d_code text[], d_reason text[]
) RETURNS flush_answer LANGUAGE plpgsql VOLATILE
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  result flush_answer;
  n integer := cardinality(t_turn);
  moved integer[] := '{}';
  inserted bigint[];
  has_starts boolean := array_position(p_to, NULL) IS NOT NULL;
  left_out uuid[] := '{}';
  is_contested boolean;
  has_early boolean;
  cancelled uuid[] := '{}';
  earlier record;
  cancelled_place bigint;
  i integer;
BEGIN
  IF is_repeated(p_worker, 1::smallint, p_no) THEN
    SELECT (answer).* INTO result FROM flush_streams WHERE worker_id = p_worker AND stream = 1 AND no = p_no;
    RETURN result;
  END IF;
  result.held := fence(p_worker, p_lane, p_partitions, p_epochs);
  PERFORM lock_places(p_lane, p_partitions);

  -- The compare: a position moves only from where the caller believes it to be. One by one: for a join the planner may
  -- go through the whole index, dead versions too, of a table that has a row per partition.
  FOR i IN 1..cardinality(p_partitions) LOOP
    CONTINUE WHEN NOT result.held[i];
    IF p_to[i] IS NULL THEN
      moved := moved || p_partitions[i];
      CONTINUE;
    END IF;
    UPDATE positions SET position = p_to[i], accepted_through = greatest(accepted_through, p_through[i])
    WHERE log_id = p_log AND partition = p_partitions[i] AND position = p_from[i];
    IF FOUND THEN
      moved := moved || p_partitions[i];
    END IF;
  END LOOP;
  IF cardinality(moved) < cardinality(p_partitions) THEN
    result.held := ARRAY(SELECT u.partition = ANY (moved) FROM unnest(p_partitions) WITH ORDINALITY AS u (partition, ord) ORDER BY u.ord);
  END IF;

  -- The places are held: role retention has either forgotten such a turn by now, or leaves it here until the end.
  IF 'expired_record' = ANY (d_code) THEN
    result.applied := ARRAY(
      SELECT u.code <> 'expired_record' OR NOT EXISTS (SELECT 1 FROM turns AS t WHERE t.turn_id = turn_of_record(u.value))
      FROM unnest(d_code, d_value) WITH ORDINALITY AS u (code, value, ord) ORDER BY u.ord);
  END IF;
  INSERT INTO dead_letters (log_id, partition, position, lane, value, code, reason)
  SELECT p_log, u.partition, u.position, p_lane, u.value, u.code, u.reason
  FROM unnest(d_partition, d_position, d_value, d_code, d_reason) WITH ORDINALITY AS u (partition, position, value, code, reason, ord)
  WHERE u.partition = ANY (moved) AND coalesce(result.applied[u.ord::integer], true)
  ON CONFLICT DO NOTHING;

  -- Only an accept of this partition deletes such a row, and this one holds the places: what is here now stays until below.
  IF has_starts THEN
    left_out := ARRAY(
      SELECT u.turn FROM unnest(t_partition, t_turn) AS u (partition, turn)
      WHERE p_to[array_position(p_partitions, u.partition)] IS NULL
        AND (SELECT s.turn_id FROM starts AS s WHERE s.turn_id = u.turn) IS NULL);
    t_created_by := ARRAY(
      SELECT CASE WHEN p_to[array_position(p_partitions, u.partition)] IS NULL
        THEN (SELECT s.created_by FROM starts AS s WHERE s.turn_id = u.turn) ELSE u.created_by END
      FROM unnest(t_partition, t_turn, t_created_by) WITH ORDINALITY AS u (partition, turn, created_by, ord) ORDER BY u.ord);
  END IF;

  IF n > 0 AND cardinality(moved) > 0 THEN
    INSERT INTO sessions (session_id, tenant, lane, bucket, name)
    SELECT DISTINCT ON (u.session) u.session, u.tenant, p_lane, u.bucket, u.name
    FROM unnest(t_partition, t_turn, t_session, t_tenant, t_bucket, t_name) AS u (partition, turn, session, tenant, bucket, name)
    WHERE u.partition = ANY (moved) AND u.turn <> ALL (left_out)
    ORDER BY u.session
    ON CONFLICT DO NOTHING;

    -- Whoever sends something early holds the places, shared: what is not here now comes after this accept, to its turn.
    has_early := EXISTS (SELECT 1 FROM early WHERE lane = p_lane);
    IF has_early THEN
      cancelled := ARRAY(
        SELECT u.turn FROM unnest(t_partition, t_turn, t_tenant) AS u (partition, turn, tenant)
        WHERE p_to[array_position(p_partitions, u.partition)] IS NOT NULL AND EXISTS (
          SELECT 1 FROM early AS e WHERE e.turn_id = u.turn AND e.kind = 'cancel' AND e.tenant = u.tenant AND e.lane = p_lane));
    END IF;

    -- Contested: the fate of some record depends on more than itself, so the batch is judged record by record, in order.
    SELECT cardinality(cancelled) > 0
        OR EXISTS (SELECT 1 FROM unnest(t_on_busy) AS u WHERE u <> 'enqueue')
        OR EXISTS (SELECT 1 FROM unnest(t_not_before) AS u WHERE u > now())
        OR EXISTS (SELECT 1 FROM unnest(t_session, t_key) AS u (session, key) WHERE u.key <> ''
                   GROUP BY u.session, u.key HAVING count(*) > 1)
        OR EXISTS (SELECT 1 FROM unnest(t_session, t_key) AS u (session, key)
                   JOIN turns AS o ON o.session_id = u.session AND o.idempotency_key = u.key WHERE u.key <> '')
    INTO is_contested;

    IF NOT is_contested THEN
      result.places := ARRAY(SELECT nextval('places') FROM generate_series(1, n));
      WITH done AS (
        INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, place, workflow, status, priority, on_busy,
                           not_before, deadline_s, idempotency_key, request_digest, tags, traceparent, created_by, input)
        SELECT u.turn, u.tenant, p_lane, u.bucket, u.session, u.place, u.workflow, 'queued', u.priority, 'enqueue',
               u.not_before, u.deadline_s, nullif(u.key, ''), u.digest, u.tags, u.trace, u.created_by, u.input
        FROM unnest(t_partition, t_turn, t_tenant, t_bucket, t_session, result.places, t_workflow, t_priority, t_not_before,
                    t_deadline_s, t_key, t_digest, t_tags, t_trace, t_created_by, t_input)
          AS u (partition, turn, tenant, bucket, session, place, workflow, priority, not_before,
                deadline_s, key, digest, tags, trace, created_by, input)
        WHERE u.partition = ANY (moved) AND u.turn <> ALL (left_out)
        ON CONFLICT (turn_id) DO NOTHING
        RETURNING place)
      SELECT coalesce(array_agg(place), '{}') INTO inserted FROM done;
      IF cardinality(inserted) < n THEN
        result.places := ARRAY(
          SELECT CASE WHEN u.place = ANY (inserted) THEN u.place END
          FROM unnest(result.places) WITH ORDINALITY AS u (place, ord) ORDER BY u.ord);
      END IF;
    ELSE
      result.places := array_fill(NULL::bigint, ARRAY[n]);
      FOR i IN 1..n LOOP
        CONTINUE WHEN NOT t_partition[i] = ANY (moved) OR t_turn[i] = ANY (left_out)
          OR EXISTS (SELECT 1 FROM turns WHERE turn_id = t_turn[i]);
        IF t_key[i] <> '' THEN
          SELECT o.turn_id, o.request_digest INTO earlier FROM turns AS o
          WHERE o.session_id = t_session[i] AND o.idempotency_key = t_key[i];
          IF FOUND THEN
            PERFORM insert_ended(t_turn[i], t_tenant[i], p_lane, t_bucket[i], t_session[i], t_workflow[i], t_on_busy[i], t_input[i],
              CASE WHEN earlier.request_digest IS NOT DISTINCT FROM t_digest[i] THEN earlier.turn_id END, 'idempotency_mismatch');
            UPDATE turns SET created_by = t_created_by[i] WHERE turn_id = t_turn[i];
            CONTINUE;
          END IF;
        END IF;
        IF t_turn[i] = ANY (cancelled) THEN
          cancelled_place := CASE WHEN t_not_before[i] IS NULL OR t_not_before[i] <= now() THEN nextval('places') END;
          INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, place, workflow, status, seq, ended_at, priority, on_busy,
                             not_before, deadline_s, idempotency_key, request_digest, tags, traceparent, created_by,
                             input)
          VALUES (t_turn[i], t_tenant[i], p_lane, t_bucket[i], t_session[i], cancelled_place, t_workflow[i], 'cancelled', 1, now(),
                  t_priority[i], t_on_busy[i], t_not_before[i], t_deadline_s[i], nullif(t_key[i], ''), t_digest[i], t_tags[i],
                  t_trace[i], t_created_by[i], t_input[i]);
          INSERT INTO events (turn_id, seq, lineage, attempt, type, data)
          VALUES (t_turn[i], 1, lineage(), 0, 'turn.cancelled', convert_to('{}', 'UTF8'));
          CONTINUE;
        END IF;
        IF t_not_before[i] IS NULL OR t_not_before[i] <= now() THEN
          IF t_on_busy[i] = 'reject' AND first_open(p_lane, t_bucket[i], t_session[i]) IS NOT NULL THEN
            -- Its key is free again: a retry later is a new request.
            PERFORM insert_ended(t_turn[i], t_tenant[i], p_lane, t_bucket[i], t_session[i], t_workflow[i], t_on_busy[i], t_input[i],
              NULL, 'busy');
            UPDATE turns SET created_by = t_created_by[i] WHERE turn_id = t_turn[i];
            CONTINUE;
          END IF;
          result.places[i] := nextval('places');
        ELSE
          INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, due_at)
          VALUES (gen_random_uuid(), p_lane, t_bucket[i], t_tenant[i], t_session[i], t_turn[i], 'timer', 'not_before', t_not_before[i]);
        END IF;
        INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, place, workflow, status, priority, on_busy,
                           not_before, deadline_s, idempotency_key, request_digest, tags, traceparent, created_by, input)
        VALUES (t_turn[i], t_tenant[i], p_lane, t_bucket[i], t_session[i], result.places[i], t_workflow[i], 'queued',
                t_priority[i], t_on_busy[i], t_not_before[i], t_deadline_s[i], nullif(t_key[i], ''), t_digest[i], t_tags[i],
                t_trace[i], t_created_by[i], t_input[i]);
      END LOOP;
    END IF;

    -- A record that is read again may be of a turn that was erased, whose session has no turn and no name any more.
    IF array_position(result.places, NULL) IS NOT NULL THEN
      PERFORM forget_sessions(t_session);
    END IF;

    IF has_early THEN
      PERFORM deliver_early(t_turn);
      cancelled := ARRAY(SELECT t.turn_id FROM turns AS t WHERE t.turn_id = ANY (cancelled) AND t.status = 'cancelled');
      UPDATE inbox SET state = 'consumed' WHERE turn_id = ANY (cancelled) AND kind = 'cancel' AND state = 'due';
      PERFORM close_inbox(cancelled);
    END IF;

    -- A deadline counts from when the turn is due: a delayed one gets its timer with its place.
    INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, due_at)
    SELECT gen_random_uuid(), p_lane, u.bucket, u.tenant, u.session, u.turn, 'timer', 'deadline', now() + make_interval(secs => u.deadline_s)
    FROM unnest(t_turn, t_tenant, t_bucket, t_session, t_deadline_s, result.places)
      AS u (turn, tenant, bucket, session, deadline_s, place)
    WHERE u.deadline_s IS NOT NULL AND u.place IS NOT NULL;

    -- The last in the order of locks.
    IF has_starts THEN
      DELETE FROM starts WHERE turn_id = ANY (ARRAY(
        SELECT u.turn FROM unnest(t_partition, t_turn) AS u (partition, turn)
        WHERE p_to[array_position(p_partitions, u.partition)] IS NULL AND u.partition = ANY (moved)));
    END IF;

    result.heads := ARRAY(
      SELECT u.place IS NOT NULL AND first_open(p_lane, u.bucket, u.session) = u.place
      FROM unnest(t_bucket, t_session, result.places) WITH ORDINALITY AS u (bucket, session, place, ord) ORDER BY u.ord);
  END IF;

  result.lineage := lineage();
  result.at := clock_timestamp();
  UPDATE flush_streams SET no = p_no, answer = result, at = now() WHERE worker_id = p_worker AND stream = 1 AND no = p_no - 1;
  RETURN result;
END
$$;

-- As processes of the version before call it, who know nothing of who posted a turn. A migration of the next release drops it.
CREATE OR REPLACE FUNCTION accept(
  p_worker uuid, p_no bigint, p_lane text, p_log text,
  p_partitions integer[], p_epochs bigint[], p_from bigint[], p_to bigint[], p_through timestamptz[],
  t_partition integer[], t_turn uuid[], t_tenant text[], t_session uuid[], t_name text[], t_bucket smallint[],
  t_workflow text[], t_input bytea[], t_on_busy text[], t_priority smallint[], t_not_before timestamptz[],
  t_deadline_s double precision[], t_key text[], t_digest bytea[], t_tags bytea[], t_trace text[],
  d_partition integer[], d_position bigint[], d_value bytea[], d_code text[], d_reason text[]
) RETURNS flush_answer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN accept(
    p_worker, p_no, p_lane, p_log, p_partitions, p_epochs, p_from, p_to, p_through, t_partition, t_turn, t_tenant, t_session,
    t_name, t_bucket, t_workflow, t_input, t_on_busy, t_priority, t_not_before, t_deadline_s, t_key, t_digest, t_tags,
    t_trace, '{}'::bytea[], d_partition, d_position, d_value, d_code, d_reason);
END
$$;

-- The place of the first turn of a session that has not ended; NULL when there is none.
CREATE OR REPLACE FUNCTION first_open(p_lane text, p_bucket smallint, p_session uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT place FROM turns
  WHERE lane = p_lane AND bucket = p_bucket AND session_id = p_session
    AND status IN ('queued', 'running', 'suspended', 'parked') AND place IS NOT NULL
  ORDER BY place LIMIT 1
$$;

-- accepted -> duplicate | rejected: the row of a record that never waits.
CREATE OR REPLACE FUNCTION insert_ended(
  p_turn uuid, p_tenant text, p_lane text, p_bucket smallint, p_session uuid, p_workflow text, p_on_busy text, p_input bytea,
  p_duplicate_of uuid, p_reason text
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF p_duplicate_of IS NOT NULL THEN
    INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, workflow, status, on_busy, duplicate_of, ended_at)
    VALUES (p_turn, p_tenant, p_lane, p_bucket, p_session, p_workflow, 'duplicate', p_on_busy, p_duplicate_of, now());
  ELSE
    INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, workflow, status, on_busy, input, seq, reason, ended_at)
    VALUES (p_turn, p_tenant, p_lane, p_bucket, p_session, p_workflow, 'rejected', p_on_busy, p_input, 1, p_reason, now());
    INSERT INTO events (turn_id, seq, lineage, attempt, type, data)
    VALUES (p_turn, 1, lineage(), 0, 'turn.rejected', convert_to(json_build_object('reason', p_reason)::text, 'UTF8'));
  END IF;
END
$$;
