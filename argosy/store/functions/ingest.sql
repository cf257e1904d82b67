-- Jobs of ingest. What makes a line count once is the graph's own file, which knows how far each upload is in it. So nobody
-- owns a job, and every statement here holds for whoever sends it, how often and how late:
-- - What a file had is a fact that grows: the greater next_line counts, and what comes late says less.
-- - What a log had received may go back at any time (the same lines again are known to the file), and goes forward only by
--   what the log has acknowledged.
-- - A job ends once. What is said of an ended job changes nothing.
-- - A restored database makes facts of before untrue: its lineage has grown, and note_ingest compares it.

-- One more event of a job, whose row the caller holds.
CREATE OR REPLACE FUNCTION add_job_event(p_job uuid, p_type text, p_data jsonb) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  n integer;
BEGIN
  UPDATE ingest_jobs SET seq = seq + 1, changed_at = now() WHERE job_id = p_job RETURNING seq INTO n;
  INSERT INTO ingest_events (job_id, seq, lineage, type, data) VALUES (p_job, n, lineage(), p_type, convert_to(p_data::text, 'UTF8'));
END
$$;

-- A job whose upload begins or goes on has a row: a new one, or the one that is there. Of another log than p_log nothing was
-- received: what the file had then is where the upload goes on. A gateway that comes late with the log of before sets that
-- back once more: lines are sent again and are known.
CREATE OR REPLACE FUNCTION begin_job(
  p_job uuid, p_tenant text, p_graph text, p_incarnation uuid, p_kind text, p_bucket smallint, p_key text, p_log text
) RETURNS void LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  its_turn record;
BEGIN
  IF p_key ~ '^\x01[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/' THEN
    -- A turn that was erased begins none, however late its worker wakes up. The turn is held meanwhile: see erase_turns.
    PERFORM need_read_committed();
    SELECT erased_at INTO its_turn FROM turns
    WHERE turn_id = substr(p_key, 2, 36)::uuid AND (tenant = p_tenant OR erased_at IS NOT NULL) FOR SHARE;
    IF its_turn.erased_at IS NOT NULL THEN
      RETURN;
    END IF;
  END IF;
  INSERT INTO ingest_jobs (job_id, tenant, graph, incarnation, kind, bucket, idempotency_key, log_id)
  VALUES (p_job, p_tenant, p_graph, p_incarnation, p_kind, p_bucket, p_key, p_log)
  ON CONFLICT (job_id) DO NOTHING;
  IF FOUND THEN
    PERFORM add_job_event(p_job, 'job.started', '{}');
  ELSE
    UPDATE ingest_jobs SET log_id = p_log, received_line = next_line - 1, received_chain = next_chain, received_at = now(),
      end_line = NULL, end_chain = NULL
    WHERE job_id = p_job AND log_id <> p_log AND ended_at IS NULL;
    -- What was kept of a job whose key nobody told (a worker knows it by its records alone).
    UPDATE ingest_jobs SET idempotency_key = p_key
    WHERE job_id = p_job AND tenant = p_tenant AND idempotency_key IS NULL AND p_key IS NOT NULL;
  END IF;
END
$$;

-- Whether an ingest worker lives; p_ttl_s: for how long a silent one counts as alive. NULL: it is not asked, and so one does. Who
-- shows many jobs asks once, in a subquery of its own.
CREATE OR REPLACE FUNCTION ingest_lives(p_ttl_s double precision) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN p_ttl_s IS NULL OR EXISTS (
    SELECT 1 FROM signs_of_life AS s WHERE s.kind = 'ingest' AND is_alive(s.holds_lock, s.heard_s, s.server_up_s, p_ttl_s));
END
$$;

-- What a job waits for, as it is shown: also for a worker, when nothing but that would bring it on. p_lives: see ingest_lives; it is
-- looked at only for jobs that run.
CREATE OR REPLACE FUNCTION shown_waits_for(p_ended_at timestamptz, p_waits_for text, p_lives boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_ended_at IS NOT NULL OR p_waits_for = 'upload' OR p_lives THEN p_waits_for ELSE 'worker' END
$$;

-- The same, with what the version before does not know: the job of a topic waits for a worker also when none has said anything of it
-- for a minute, although some live. Who reads a topic says something each five seconds; of what was said before, nothing may hold.
-- Its topic is not in their INGEST_TOPICS, or not there, or their brokers are away: so it stays as it is, and ends by nobody's absence.
CREATE OR REPLACE FUNCTION shown_waits_for(p_ended_at timestamptz, p_waits_for text, p_lives boolean, p_kind text, p_changed_at timestamptz)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN p_kind = 'topic' AND p_ended_at IS NULL AND p_changed_at < now() - interval '1 minute' THEN 'worker'
    ELSE shown_waits_for(p_ended_at, p_waits_for, p_lives) END
$$;

-- The log has acknowledged every line up to p_line; p_is_end: and the end of the upload after it. Whether the job still
-- runs. It only moves on: a slower gateway with the same upload changes nothing. Nor does one with another log, nor one with
-- another upload under the same key, once an end is known: the job is then that end's upload, and so is what was received.
CREATE OR REPLACE FUNCTION note_received(p_job uuid, p_log text, p_line bigint, p_chain bytea, p_bytes bigint, p_is_end boolean)
RETURNS boolean LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
  -- received_at is later than any record of it: what is found missing a minute after this is lost (note_lost).
  UPDATE ingest_jobs SET received_line = p_line, received_chain = p_chain, received_bytes = p_bytes, received_at = now(), changed_at = now(),
    waits_for = CASE WHEN waits_for = 'upload' THEN '' ELSE waits_for END,
    end_line = CASE WHEN p_is_end THEN p_line END, end_chain = CASE WHEN p_is_end THEN p_chain END
  WHERE job_id = p_job AND log_id = p_log AND ended_at IS NULL AND end_line IS NULL AND (received_line < p_line OR p_is_end);
  IF FOUND AND p_is_end THEN
    PERFORM add_job_event(p_job, 'job.uploaded', jsonb_build_object('lines', p_line));
  END IF;
  RETURN EXISTS (SELECT 1 FROM ingest_jobs WHERE job_id = p_job AND ended_at IS NULL);
END
$$;

-- Tells the turns that wait for these jobs, all of which have ended in this transaction, in the order of turns: so two that
-- end several jobs never wait for each other. There is always room for it: it is the turn's own wait, not a client's word.
-- A turn that has ended meanwhile, or was told before, is left alone.
CREATE OR REPLACE FUNCTION tell_waiters(p_jobs uuid[]) RETURNS void LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  w record;
BEGIN
  FOR w IN
    SELECT i.*, j.state, j.code, j.reason, j.applied, j.rejected
    FROM ingest_waiters AS i JOIN ingest_jobs AS j ON j.job_id = i.job_id
    WHERE i.job_id = ANY (p_jobs) ORDER BY i.turn_id, i.job_id
  LOOP
    PERFORM send_signal(
      w.turn_id, w.tenant, w.lane, gen_random_uuid(), chr(1) || 'ingest:' || w.job_id, 'ingest/' || w.job_id,
      convert_to(jsonb_build_object('job_id', w.job_id, 'status', w.state, 'code', w.code, 'reason', w.reason,
        'applied', w.applied, 'rejected', w.rejected)::text, 'UTF8'),
      2147483647, 9223372036854775807);
  END LOOP;
  DELETE FROM ingest_waiters WHERE job_id = ANY (p_jobs);
END
$$;

-- Ends a job, unless it has ended: the first to say so is right. Whether this did it. The caller tells who waits.
CREATE OR REPLACE FUNCTION settle_job(p_job uuid, p_state text, p_code text, p_reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  job record;
BEGIN
  UPDATE ingest_jobs SET state = p_state, code = p_code, reason = p_reason, ended_at = clock_timestamp(), waits_for = '', rate_lines_s = 0
  WHERE job_id = p_job AND ended_at IS NULL
  RETURNING * INTO job;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM add_job_event(p_job, 'job.' || p_state, jsonb_build_object(
    'code', p_code, 'reason', p_reason, 'lines', job.next_line - 1, 'applied', job.applied, 'rejected', job.rejected));
  RETURN true;
END
$$;

-- As settle_job, for one job alone.
CREATE OR REPLACE FUNCTION end_job(p_job uuid, p_state text, p_code text, p_reason text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM need_read_committed();
  IF NOT settle_job(p_job, p_state, p_code, p_reason) THEN
    RETURN false;
  END IF;
  PERFORM tell_waiters(ARRAY[p_job]);
  RETURN true;
END
$$;

-- A topic that was deleted and made again under its name is another one, with another job; another `run` in INGEST_TOPICS begins one,
-- too. This is where the job of before ends, once the new one has a row. They have a key, which says the name, and the graph's life in
-- common; where the log is the same, they are the same feeds, and the new one goes on there. Only older ones end: who still sees the
-- topic, or the setting, as it was has the older job. Which this has ended.
CREATE OR REPLACE FUNCTION end_replaced(p_job uuid) RETURNS uuid[] LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  old record;
  is_ended boolean;
  ended uuid[] := '{}';
BEGIN
  PERFORM need_read_committed();
  FOR old IN
    SELECT o.job_id, o.log_id = j.log_id AS is_same
    FROM ingest_jobs AS j
    JOIN ingest_jobs AS o ON o.tenant = j.tenant AND o.graph = j.graph AND o.incarnation = j.incarnation AND o.kind = 'topic'
      AND o.idempotency_key = j.idempotency_key AND (o.made_at, o.job_id) < (j.made_at, j.job_id)
    WHERE j.job_id = p_job AND o.ended_at IS NULL
    ORDER BY o.job_id
  LOOP
    is_ended := CASE WHEN old.is_same
      THEN settle_job(old.job_id, 'cancelled', 'superseded',
        'its topic has another run in INGEST_TOPICS: job ' || p_job || ' goes on where it ended')
      ELSE settle_job(old.job_id, 'failed', 'topic_replaced',
        'its topic was deleted, and another one made under its name: job ' || p_job || ' reads that')
    END;
    IF is_ended THEN
      ended := ended || old.job_id;
    END IF;
  END LOOP;
  PERFORM tell_waiters(ended);
  RETURN ended;
END
$$;

-- Ends a tenant's job as cancelled, unless it has ended. A batch that is under way may still be applied, and counts.
CREATE OR REPLACE FUNCTION cancel_job(p_job uuid, p_tenant text) RETURNS void LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM ingest_jobs WHERE job_id = p_job AND tenant = p_tenant) THEN
    PERFORM end_job(p_job, 'cancelled', 'cancelled', 'cancelled on request');
  END IF;
END
$$;

-- A turn waits for the end of a job of its tenant, and is told by a signal unless the job has ended: who ends it waits for this
-- transaction, or this one sees its end. The same again is one wait.
CREATE OR REPLACE FUNCTION wait_for_job(p_job uuid, p_tenant text, p_turn uuid, p_lane text) RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
  PERFORM need_read_committed();
  PERFORM 1 FROM ingest_jobs WHERE job_id = p_job AND tenant = p_tenant AND ended_at IS NULL FOR SHARE;
  IF FOUND THEN
    INSERT INTO ingest_waiters (job_id, turn_id, lane, tenant) VALUES (p_job, p_turn, p_lane, p_tenant) ON CONFLICT DO NOTHING;
  END IF;
END
$$;

-- Deletes refused lines of jobs whose rows the caller holds or nobody writes any more, some 20,000 at the most: a job may have a
-- million, and a statement that deletes all of many jobs would never end in time. How many. What is left is for the next time.
CREATE OR REPLACE FUNCTION forget_rejects(p_jobs uuid[]) RETURNS bigint LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  n bigint;
BEGIN
  DELETE FROM ingest_rejects WHERE ctid = ANY (ARRAY(
    SELECT r.ctid FROM unnest(p_jobs) AS u (job) JOIN ingest_rejects AS r ON r.job_id = u.job LIMIT 20000));
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END
$$;

-- Those of these jobs that have no refused lines any more.
CREATE OR REPLACE FUNCTION jobs_without_rejects(p_jobs uuid[]) RETURNS uuid[] LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  RETURN ARRAY(
    SELECT u.job FROM unnest(p_jobs) AS u (job) WHERE NOT EXISTS (SELECT 1 FROM ingest_rejects AS r WHERE r.job_id = u.job));
END
$$;

-- Forgets ended jobs after p_age_s, when the log has forgotten their records, too: else one that is read again would make
-- its job anew. A job of another log than the lane's has none. The newest job of a topic and a graph's name stays: it says that
-- a graph was dropped, or that nothing more is to be read. So does one that was erased; but
-- what was refused of them goes. How many it came to: those with many refused lines go bit by bit, the job itself at last.
CREATE OR REPLACE FUNCTION purge_ingest(p_role text, p_term bigint, p_lane text, p_age_s double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  due uuid[];
  kept uuid[];
  gone uuid[];
BEGIN
  PERFORM hold_term(p_role, p_term);
  kept := ARRAY(
    SELECT j.job_id FROM ingest_jobs AS j
    WHERE j.ended_at < now() - make_interval(secs => p_age_s) AND j.kind = 'topic'
      AND EXISTS (SELECT 1 FROM ingest_rejects AS r WHERE r.job_id = j.job_id)
    ORDER BY j.ended_at, j.job_id LIMIT p_limit);
  due := ARRAY(
    SELECT j.job_id
    FROM ingest_jobs AS j LEFT JOIN lane_logs AS l ON l.lane = p_lane
    WHERE j.ended_at < now() - make_interval(secs => p_age_s)
      AND CASE WHEN j.kind = 'topic' THEN j.tenant <> '' AND EXISTS (
          SELECT 1 FROM ingest_jobs AS n
          WHERE n.tenant = j.tenant AND n.graph = j.graph AND n.kind = 'topic' AND n.log_id = j.log_id
            AND (n.made_at, n.job_id) > (j.made_at, j.job_id))
        ELSE j.log_id IS DISTINCT FROM l.cluster_id || '/' || l.topic_id
          OR j.ended_at < gone_from_log(p_lane, j.bucket * l.partition_count / 1024) END
    ORDER BY j.ended_at, j.job_id LIMIT p_limit);
  PERFORM forget_rejects(due || kept);
  gone := jobs_without_rejects(due);
  DELETE FROM ingest_jobs WHERE job_id = ANY (gone);
  DELETE FROM ingest_rejects WHERE job_id = ANY (gone); -- that a late worker has noted meanwhile
  DELETE FROM ingest_events WHERE job_id = ANY (gone);
  DELETE FROM ingest_waiters WHERE job_id = ANY (gone);
  RETURN cardinality(due) + cardinality(kept);
END
$$;

-- Gives up uploads that nobody went on with for p_age_s, p_limit at the most; how many. What came of them stays applied.
CREATE OR REPLACE FUNCTION abandon_uploads(p_role text, p_term bigint, p_age_s double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  ended uuid[];
  each uuid;
BEGIN
  PERFORM hold_term(p_role, p_term);
  PERFORM need_read_committed();
  ended := ARRAY(
    SELECT j.job_id FROM ingest_jobs AS j
    WHERE j.ended_at IS NULL AND j.kind = 'upload' AND j.end_line IS NULL AND j.received_at < now() - make_interval(secs => p_age_s)
    ORDER BY j.job_id LIMIT p_limit);
  FOREACH each IN ARRAY ended LOOP
    PERFORM settle_job(each, 'failed', 'abandoned', 'the rest of its lines never came');
  END LOOP;
  PERFORM tell_waiters(ended);
  RETURN cardinality(ended);
END
$$;
