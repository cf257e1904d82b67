-- Claims, accepts and flushes: the few statements in which correctness lives.
--
-- Every function is VOLATILE under READ COMMITTED, so each statement inside sees what was committed before that
-- statement began: a lock taken by one statement protects what the next one reads. The planner settings keep index
-- lookups in cached plans that were made while the tables were small.

-- Which states one flush may write over which: the reachability of argosy/turn/transitions.py, compared by a test.
CREATE FUNCTION may_become(before text, after text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE before
    WHEN 'queued' THEN after IN ('running', 'suspended', 'parked', 'completed', 'failed', 'cancelled', 'expired', 'rejected', 'merged')
    WHEN 'running' THEN after IN ('running', 'suspended', 'parked', 'completed', 'failed', 'cancelled', 'expired')
    WHEN 'suspended' THEN after IN ('running', 'suspended', 'parked', 'completed', 'failed', 'cancelled', 'expired')
    WHEN 'parked' THEN after IN ('running', 'suspended', 'parked', 'completed', 'failed', 'cancelled', 'expired')
    ELSE false
  END
$$;

CREATE FUNCTION has_ended(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT status IN ('completed', 'failed', 'cancelled', 'expired', 'rejected', 'merged', 'duplicate')
$$;

CREATE FUNCTION partition_lock_class(lane text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtext('argosy.partition/' || lane)
$$;

-- A claim makes the caller the owner of partitions: it waits for the flushes in flight of the owner before (their
-- shared locks), raises the epoch, and is over when it commits; what was there is loaded afterwards. From its commit
-- on no flush with an older epoch can write (I4). Epochs never repeat: the lineage is their upper half.
CREATE FUNCTION claim(p_worker uuid, p_address text, p_lane text, p_partitions integer[])
RETURNS TABLE (claimed_partition integer, claimed_epoch bigint) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  p integer;
BEGIN
  FOR p IN SELECT u FROM unnest(p_partitions) AS u ORDER BY u LOOP
    PERFORM pg_advisory_xact_lock(partition_lock_class(p_lane), p);
  END LOOP;
  RETURN QUERY
  INSERT INTO partitions AS mine (lane, partition, epoch, owner, address)
  SELECT p_lane, u, (lineage() << 32) | 1, p_worker, p_address FROM unnest(p_partitions) AS u ORDER BY u
  ON CONFLICT (lane, partition) DO UPDATE SET
    epoch = (greatest(mine.epoch >> 32, lineage()) << 32) | ((mine.epoch & 4294967295) + 1),
    owner = p_worker, address = p_address, claimed_at = now()
  RETURNING mine.partition, mine.epoch;
END
$$;

-- The number: `no` follows the stream's last number, or equals it (the same call sent again after an unknown outcome:
-- the row lock makes it wait for the first one's backend; the stored answer is returned). Any other number means that
-- the database went back in time: everything the worker owns is void (SQLSTATE AR001).
CREATE FUNCTION is_repeated(p_worker uuid, p_stream smallint, p_no bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  last_no bigint;
BEGIN
  SELECT no INTO last_no FROM flush_streams WHERE worker_id = p_worker AND stream = p_stream FOR UPDATE;
  IF last_no = p_no - 1 THEN
    RETURN false;
  ELSIF last_no = p_no THEN
    RETURN true;
  END IF;
  RAISE EXCEPTION 'flush % of stream % does not follow %', p_no, p_stream, coalesce(last_no::text, 'anything')
    USING ERRCODE = 'AR001';
END
$$;

-- The fence: a shared lock per partition first, so that no claim can come between, and in the next statement which of
-- them still have this epoch and owner. It writes nothing: two streams of one worker do not block each other.
CREATE FUNCTION fence(p_worker uuid, p_lane text, p_partitions integer[], p_epochs bigint[])
RETURNS boolean[] LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  p integer;
BEGIN
  FOR p IN SELECT u FROM unnest(p_partitions) AS u ORDER BY u LOOP
    PERFORM pg_advisory_xact_lock_shared(partition_lock_class(p_lane), p);
  END LOOP;
  RETURN ARRAY(
    SELECT EXISTS (
      SELECT 1 FROM partitions AS mine
      WHERE mine.lane = p_lane AND mine.partition = u.partition AND mine.epoch = u.epoch AND mine.owner = p_worker)
    FROM unnest(p_partitions, p_epochs) WITH ORDINALITY AS u (partition, epoch, ord) ORDER BY u.ord);
END
$$;

-- Accepts and placements of delayed turns give out places, in two streams: in one partition one after the other, so that
-- each sees what the other wrote. Else a turn could take a place before one that runs already, and two that do not want
-- to wait could both come in. Taken right after the fence, by which time nothing else is held that anybody waits for.
CREATE FUNCTION lock_places(p_lane text, p_partitions integer[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  p integer;
BEGIN
  FOR p IN SELECT DISTINCT u FROM unnest(p_partitions) AS u ORDER BY u LOOP
    PERFORM pg_advisory_xact_lock(hashtext('argosy.places/' || p_lane), p);
  END LOOP;
END
$$;

-- accept: a batch of the log becomes turns. Positions and turns move in one transaction; from its commit on the log is
-- not needed for these turns. Every record becomes exactly one row. A partition whose fence or position does not hold
-- is left out whole (held = false) and the others go on.
CREATE FUNCTION accept(
  p_worker uuid, p_no bigint, p_lane text, p_log text,
  p_partitions integer[], p_epochs bigint[], p_from bigint[], p_to bigint[], p_through timestamptz[],
  t_partition integer[], t_turn uuid[], t_tenant text[], t_session uuid[], t_name text[], t_bucket smallint[],
  t_workflow text[], t_input bytea[], t_on_busy text[], t_priority smallint[], t_not_before timestamptz[],
  t_deadline_s double precision[], t_key text[], t_digest bytea[], t_tags bytea[], t_trace text[],
  d_partition integer[], d_position bigint[], d_value bytea[], d_code text[], d_reason text[]
) RETURNS flush_answer LANGUAGE plpgsql VOLATILE
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  result flush_answer;
  n integer := cardinality(t_turn);
  moved integer[];
  inserted bigint[];
  is_contested boolean;
  earlier record;
  i integer;
BEGIN
  IF is_repeated(p_worker, 1::smallint, p_no) THEN
    SELECT (answer).* INTO result FROM flush_streams WHERE worker_id = p_worker AND stream = 1;
    RETURN result;
  END IF;
  result.held := fence(p_worker, p_lane, p_partitions, p_epochs);
  PERFORM lock_places(p_lane, p_partitions);

  -- The compare: a position moves only from where the caller believes it to be.
  WITH done AS (
    UPDATE positions AS mine SET
      position = u.new_position,
      accepted_through = greatest(mine.accepted_through, u.through)
    FROM unnest(p_partitions, p_from, p_to, p_through, result.held) AS u (partition, old_position, new_position, through, held)
    WHERE mine.log_id = p_log AND mine.partition = u.partition AND mine.position = u.old_position AND u.held
    RETURNING mine.partition)
  SELECT coalesce(array_agg(partition), '{}') INTO moved FROM done;
  IF cardinality(moved) < cardinality(p_partitions) THEN
    result.held := ARRAY(SELECT u.partition = ANY (moved) FROM unnest(p_partitions) WITH ORDINALITY AS u (partition, ord) ORDER BY u.ord);
  END IF;

  INSERT INTO dead_letters (log_id, partition, position, lane, value, code, reason)
  SELECT p_log, u.partition, u.position, p_lane, u.value, u.code, u.reason
  FROM unnest(d_partition, d_position, d_value, d_code, d_reason) AS u (partition, position, value, code, reason)
  WHERE u.partition = ANY (moved)
  ON CONFLICT DO NOTHING;

  IF n > 0 AND cardinality(moved) > 0 THEN
    INSERT INTO sessions (session_id, tenant, lane, bucket, name)
    SELECT DISTINCT ON (u.session) u.session, u.tenant, p_lane, u.bucket, u.name
    FROM unnest(t_partition, t_session, t_tenant, t_bucket, t_name) AS u (partition, session, tenant, bucket, name)
    WHERE u.partition = ANY (moved)
    ORDER BY u.session
    ON CONFLICT DO NOTHING;

    -- Contested: the fate of some record depends on another turn, so the batch is judged record by record, in order.
    SELECT EXISTS (SELECT 1 FROM unnest(t_on_busy) AS u WHERE u <> 'enqueue')
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
                           not_before, deadline_s, idempotency_key, request_digest, tags, traceparent, input)
        SELECT u.turn, u.tenant, p_lane, u.bucket, u.session, u.place, u.workflow, 'queued', u.priority, 'enqueue',
               u.not_before, u.deadline_s, nullif(u.key, ''), u.digest, u.tags, u.trace, u.input
        FROM unnest(t_partition, t_turn, t_tenant, t_bucket, t_session, result.places, t_workflow, t_priority, t_not_before,
                    t_deadline_s, t_key, t_digest, t_tags, t_trace, t_input)
          AS u (partition, turn, tenant, bucket, session, place, workflow, priority, not_before,
                deadline_s, key, digest, tags, trace, input)
        WHERE u.partition = ANY (moved)
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
        CONTINUE WHEN NOT t_partition[i] = ANY (moved) OR EXISTS (SELECT 1 FROM turns WHERE turn_id = t_turn[i]);
        IF t_key[i] <> '' THEN
          SELECT o.turn_id, o.request_digest INTO earlier FROM turns AS o
          WHERE o.session_id = t_session[i] AND o.idempotency_key = t_key[i];
          IF FOUND THEN
            PERFORM insert_ended(t_turn[i], t_tenant[i], p_lane, t_bucket[i], t_session[i], t_workflow[i], t_on_busy[i], t_input[i],
              CASE WHEN earlier.request_digest IS NOT DISTINCT FROM t_digest[i] THEN earlier.turn_id END, 'idempotency_mismatch');
            CONTINUE;
          END IF;
        END IF;
        IF t_not_before[i] IS NULL OR t_not_before[i] <= now() THEN
          IF t_on_busy[i] = 'reject' AND first_open(p_lane, t_bucket[i], t_session[i]) IS NOT NULL THEN
            -- Its key is free again: a retry later is a new request.
            PERFORM insert_ended(t_turn[i], t_tenant[i], p_lane, t_bucket[i], t_session[i], t_workflow[i], t_on_busy[i], t_input[i],
              NULL, 'busy');
            CONTINUE;
          END IF;
          result.places[i] := nextval('places');
        ELSE
          INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, due_at)
          VALUES (gen_random_uuid(), p_lane, t_bucket[i], t_tenant[i], t_session[i], t_turn[i], 'timer', 'not_before', t_not_before[i]);
        END IF;
        INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, place, workflow, status, priority, on_busy,
                           not_before, deadline_s, idempotency_key, request_digest, tags, traceparent, input)
        VALUES (t_turn[i], t_tenant[i], p_lane, t_bucket[i], t_session[i], result.places[i], t_workflow[i], 'queued',
                t_priority[i], t_on_busy[i], t_not_before[i], t_deadline_s[i], nullif(t_key[i], ''), t_digest[i], t_tags[i],
                t_trace[i], t_input[i]);
      END LOOP;
    END IF;

    -- A deadline counts from when the turn is due: a delayed one gets its timer with its place.
    INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, due_at)
    SELECT gen_random_uuid(), p_lane, u.bucket, u.tenant, u.session, u.turn, 'timer', 'deadline', now() + make_interval(secs => u.deadline_s)
    FROM unnest(t_turn, t_tenant, t_bucket, t_session, t_deadline_s, result.places)
      AS u (turn, tenant, bucket, session, deadline_s, place)
    WHERE u.deadline_s IS NOT NULL AND u.place IS NOT NULL;

    result.heads := ARRAY(
      SELECT u.place IS NOT NULL AND first_open(p_lane, u.bucket, u.session) = u.place
      FROM unnest(t_bucket, t_session, result.places) WITH ORDINALITY AS u (bucket, session, place, ord) ORDER BY u.ord);
  END IF;

  result.lineage := lineage();
  result.at := clock_timestamp();
  UPDATE flush_streams SET no = p_no, answer = result, at = now() WHERE worker_id = p_worker AND stream = 1;
  RETURN result;
END
$$;

-- The place of the first turn of a session that has not ended; NULL when there is none.
CREATE FUNCTION first_open(p_lane text, p_bucket smallint, p_session uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT place FROM turns
  WHERE lane = p_lane AND bucket = p_bucket AND session_id = p_session
    AND status IN ('queued', 'running', 'suspended', 'parked') AND place IS NOT NULL
  ORDER BY place LIMIT 1
$$;

-- accepted -> duplicate | rejected: the row of a record that never waits.
CREATE FUNCTION insert_ended(
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

-- flush: what a worker's turns want written, in one call. Per turn one row of u_ with what it was and what it becomes
-- (transitions since the last flush are folded), its events, and its inbox rows. A partition whose fence does not hold is
-- left out whole (held = false); a turn that is not as expected is left out with all that belongs to it
-- (applied = false) and is read again by the caller.
--   i_: new inbox rows; i_due_s: seconds from now
--   x_: inbox rows that take effect here; x_to: consumed | buffered | late | deleted
--   l_: delayed turns that fell due: each gets its place, or is rejected when busy
-- u_index in e_, i_, x_: 1-based index into u_; 0 (x_ only): belongs to no turn of this flush.
CREATE FUNCTION flush(
  p_worker uuid, p_no bigint, p_lane text,
  p_partitions integer[], p_epochs bigint[],
  u_partition integer[], u_turn uuid[], u_old_status text[], u_old_attempt integer[], u_old_seq integer[],
  u_status text[], u_attempt integer[], u_seq integer[], u_crashes smallint[], u_version text[],
  u_result bytea[], u_error bytea[], u_waits bytea[], u_reason text[],
  e_index integer[], e_seq integer[], e_attempt integer[], e_type text[], e_key text[], e_data bytea[],
  i_index integer[], i_id uuid[], i_kind text[], i_name text[], i_correlation text[], i_payload bytea[], i_due_s double precision[],
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
  i integer;
  delayed turns%ROWTYPE;
BEGIN
  IF is_repeated(p_worker, 2::smallint, p_no) THEN
    SELECT (answer).* INTO result FROM flush_streams WHERE worker_id = p_worker AND stream = 2;
    RETURN result;
  END IF;
  result.held := fence(p_worker, p_lane, p_partitions, p_epochs);
  held := ARRAY(SELECT u.partition FROM unnest(p_partitions, result.held) AS u (partition, held) WHERE u.held);
  all_held := cardinality(held) = cardinality(p_partitions);
  IF cardinality(l_turn) > 0 THEN
    PERFORM lock_places(p_lane, l_partition);
  END IF;

  IF cardinality(u_turn) > 0 THEN
    WITH done AS (
      UPDATE turns AS t SET
        status = u.status, attempt = u.attempt, seq = u.seq, crashes = u.crashes, version = coalesce(u.version, t.version),
        result = u.result, error = u.error, waits = u.waits, reason = u.reason,
        started_at = CASE WHEN u.attempt > 0 THEN coalesce(t.started_at, now()) END,
        ended_at = CASE WHEN has_ended(u.status) THEN now() END
      FROM unnest(u_partition, u_turn, u_old_status, u_old_attempt, u_old_seq, u_status, u_attempt, u_seq, u_crashes,
                  u_version, u_result, u_error, u_waits, u_reason) WITH ORDINALITY
        AS u (partition, turn, old_status, old_attempt, old_seq, status, attempt, seq, crashes,
              version, result, error, waits, reason, ord)
      WHERE t.turn_id = u.turn AND t.status = u.old_status AND t.attempt = u.old_attempt AND t.seq = u.old_seq
        AND may_become(u.old_status, u.status)
        AND (all_held OR u.partition = ANY (held))
      RETURNING u.ord)
    SELECT coalesce(array_agg(ord), '{}') INTO done_index FROM done;
    IF cardinality(done_index) < cardinality(u_turn) THEN
      result.applied := ARRAY(SELECT g = ANY (done_index) FROM generate_series(1, cardinality(u_turn)) AS g ORDER BY g);
    END IF;

    INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data)
    SELECT u_turn[e.index], e.seq, here, e.attempt, e.type, e.key, e.data
    FROM unnest(e_index, e_seq, e_attempt, e_type, e_key, e_data) AS e (index, seq, attempt, type, key, data)
    WHERE result.applied IS NULL OR result.applied[e.index];

    IF cardinality(i_id) > 0 THEN
      INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, correlation, payload, due_at)
      SELECT i.id, t.lane, t.bucket, t.tenant, t.session_id, t.turn_id, i.kind, i.name, i.correlation, i.payload,
             now() + make_interval(secs => i.due_s)
      FROM unnest(i_index, i_id, i_kind, i_name, i_correlation, i_payload, i_due_s)
        AS i (index, id, kind, name, correlation, payload, due_s)
      JOIN turns AS t ON t.turn_id = u_turn[i.index]
      WHERE result.applied IS NULL OR result.applied[i.index];
    END IF;
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
    ELSE
      UPDATE turns SET place = nextval('places') WHERE turn_id = delayed.turn_id;
      IF delayed.deadline_s IS NOT NULL THEN
        INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, due_at)
        VALUES (gen_random_uuid(), p_lane, delayed.bucket, delayed.tenant, delayed.session_id, delayed.turn_id, 'timer',
                'deadline', now() + make_interval(secs => delayed.deadline_s));
      END IF;
    END IF;
  END LOOP;

  IF cardinality(x_id) > 0 THEN
    DELETE FROM inbox AS b
    USING unnest(x_index, x_partition, x_id, x_to) AS x (index, partition, id, new_state)
    WHERE b.inbox_id = x.id AND x.new_state = 'deleted'
      AND (all_held OR x.partition = ANY (held)) AND (x.index = 0 OR result.applied IS NULL OR result.applied[x.index]);
    UPDATE inbox AS b SET state = x.new_state
    FROM unnest(x_index, x_partition, x_id, x_to) AS x (index, partition, id, new_state)
    WHERE b.inbox_id = x.id AND x.new_state <> 'deleted' AND b.state IN ('due', 'buffered')
      AND (all_held OR x.partition = ANY (held)) AND (x.index = 0 OR result.applied IS NULL OR result.applied[x.index]);
  END IF;

  result.lineage := here;
  result.at := clock_timestamp();
  UPDATE flush_streams SET no = p_no, answer = result, at = now() WHERE worker_id = p_worker AND stream = 2;
  RETURN result;
END
$$;
