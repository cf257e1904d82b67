-- What workers of ingest say of jobs (ingest.sql says why it holds, whoever says it, how often and how late).

-- What a worker found out: in one transaction where it is in the log, what the graphs' files had, and which lines they
-- refused. So a position never passes a record of which a reject is not here.
--   p_from, p_to: the worker has done everything between them. A position moves on only from where somebody had come to
--     (p_from or later: then all before is done, too), and never back. Answer: where each partition stands now. One that is
--     before p_from was set back (reset_position): the worker reads again from there.
--   p_age_s: so many seconds ago the log ended at p_to, or before; NULL: nobody looked.
--   j_: one row per job, or one for each end of an upload that stood in the log, ids ascending. j_next NULL: the file was not asked; j_waits NULL: as it was. j_end_line: the end of the upload stood in the
--     log. j_verdict: '' | done | failed: what the file says about the end; lost: lines before the end are in no log and in no
--     file, and the upload must go on from what the file has. Of two uploads under one key the row has the end of one, which
--     stands in the log as well: what the file says about the end of the other one says nothing of the job. Answer: the state
--     of each.
--   r_: refused lines; at most p_rejects_max stay of a job.
-- Late: another worker may have noted more of a job meanwhile; then only its rejects and its end are of use, once.
CREATE OR REPLACE FUNCTION note_ingest(
  p_lineage bigint, p_lane text, p_log text,
  p_partitions integer[], p_from bigint[], p_to bigint[], p_age_s double precision[],
  d_partition integer[], d_position bigint[], d_value bytea[], d_code text[], d_reason text[],
  j_job uuid[], j_tenant text[], j_graph text[], j_incarnation uuid[], j_bucket smallint[], j_made_at timestamptz[],
  j_next bigint[], j_chain bytea[], j_applied bigint[], j_rejected bigint[], j_rate double precision[], j_waits text[],
  j_end_line bigint[], j_end_chain bytea[], j_verdict text[], j_code text[], j_reason text[],
  r_job uuid[], r_partition integer[], r_line bigint[], r_code text[], r_reason text[], r_start bytea[], p_rejects_max integer,
  OUT positions bigint[], OUT states text[]
) LANGUAGE plpgsql VOLATILE
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  i integer;
  job record;
  added integer;
  ended uuid[] := '{}';
BEGIN
  PERFORM need_read_committed();
  IF lineage() <> p_lineage THEN
    RAISE EXCEPTION 'the database went back in time, or another server leads: what was found out before may not hold'
      USING ERRCODE = 'AR001';
  END IF;

  positions := '{}';
  FOR i IN 1..cardinality(p_partitions) LOOP
    UPDATE positions AS p SET position = greatest(p.position, p_to[i]),
      accepted_through = greatest(p.accepted_through, clock_timestamp() - make_interval(secs => p_age_s[i]))
    WHERE p.log_id = p_log AND p.partition = p_partitions[i] AND p.position >= p_from[i]
      AND (p.position < p_to[i] OR (p.position = p_to[i] AND p_age_s[i] IS NOT NULL));
    positions := positions || coalesce(position_of(p_log, p_partitions[i]), p_from[i]);
  END LOOP;

  INSERT INTO dead_letters (log_id, partition, position, lane, value, code, reason)
  SELECT p_log, u.partition, u.position, p_lane, u.value, u.code, u.reason
  FROM unnest(d_partition, d_position, d_value, d_code, d_reason) AS u (partition, position, value, code, reason)
  ON CONFLICT DO NOTHING;

  states := '{}';
  FOR i IN 1..cardinality(j_job) LOOP
    -- A job whose row is not here (the database went back, or its gateway's did not come) is what its records say.
    INSERT INTO ingest_jobs (job_id, tenant, graph, incarnation, kind, bucket, log_id, made_at)
    VALUES (j_job[i], j_tenant[i], j_graph[i], j_incarnation[i], 'upload', j_bucket[i], p_log, j_made_at[i])
    ON CONFLICT (job_id) DO NOTHING;
    IF FOUND THEN
      PERFORM add_job_event(j_job[i], 'job.started', '{}');
    END IF;
    SELECT * INTO job FROM ingest_jobs WHERE job_id = j_job[i] FOR UPDATE;

    WITH kept AS (
      INSERT INTO ingest_rejects (job_id, partition, line, code, reason, start)
      SELECT u.job, u.partition, u.line, u.code, u.reason, u.start
      FROM unnest(r_job, r_partition, r_line, r_code, r_reason, r_start) AS u (job, partition, line, code, reason, start)
      WHERE u.job = job.job_id AND NOT EXISTS (
        SELECT 1 FROM ingest_rejects AS had WHERE had.job_id = u.job AND had.partition = u.partition AND had.line = u.line)
      ORDER BY u.partition, u.line LIMIT greatest(0, p_rejects_max - job.rejects_kept)
      ON CONFLICT DO NOTHING
      RETURNING 1)
    SELECT count(*) INTO added FROM kept;
    IF added > 0 THEN
      UPDATE ingest_jobs SET rejects_kept = rejects_kept + added WHERE job_id = job.job_id;
    END IF;

    -- What a file had last counts, of a job that has ended, too: a batch was under way when it was cancelled.
    IF j_next[i] > job.next_line OR (j_next[i] = job.next_line AND job.ended_at IS NULL) THEN
      UPDATE ingest_jobs SET next_line = j_next[i], next_chain = j_chain[i], applied = j_applied[i], rejected = j_rejected[i],
        -- What the file has, the log had received: a gateway that died before it could say so.
        received_line = greatest(received_line, j_next[i] - 1),
        received_chain = CASE WHEN received_line < j_next[i] - 1 THEN j_chain[i] ELSE received_chain END,
        rate_lines_s = CASE WHEN ended_at IS NULL THEN j_rate[i] ELSE 0 END, changed_at = now()
      WHERE job_id = job.job_id;
      IF job.ended_at IS NULL AND j_rejected[i] > 0 AND job.rejected = 0 THEN
        PERFORM add_job_event(job.job_id, 'job.rejecting', jsonb_build_object('rejected', j_rejected[i]));
      END IF;
    ELSIF job.kind = 'topic' AND job.ended_at IS NULL THEN
      UPDATE ingest_jobs SET changed_at = now() WHERE job_id = job.job_id; -- somebody reads it: see shown_waits_for
    END IF;

    IF job.ended_at IS NULL THEN
      IF j_waits[i] <> job.waits_for AND coalesce(j_next[i], job.next_line) >= job.next_line THEN
        UPDATE ingest_jobs SET waits_for = j_waits[i], changed_at = now() WHERE job_id = job.job_id;
        IF job.seq < 1000 THEN -- a shard that comes and goes for days must not make a history without an end
          PERFORM add_job_event(job.job_id, CASE WHEN j_waits[i] = '' THEN 'job.resumed' ELSE 'job.waiting' END,
            CASE WHEN j_waits[i] = '' THEN '{}'::jsonb ELSE jsonb_build_object('for', j_waits[i]) END);
        END IF;
      END IF;
      IF j_end_line[i] IS NOT NULL AND job.end_line IS NULL AND j_verdict[i] <> 'lost' THEN
        UPDATE ingest_jobs SET end_line = j_end_line[i], end_chain = j_end_chain[i] WHERE job_id = job.job_id;
        PERFORM add_job_event(job.job_id, 'job.uploaded', jsonb_build_object('lines', j_end_line[i]));
      END IF;
      IF (j_end_line[i], j_end_chain[i]) <> (job.end_line, job.end_chain) THEN
        NULL; -- the end of another upload (unknown, and so not other, when either has none)
      ELSIF j_verdict[i] = 'lost' THEN
        PERFORM lose_received(job.job_id, p_log);
      ELSIF j_verdict[i] <> '' AND settle_job(job.job_id, j_verdict[i], j_code[i], j_reason[i]) THEN
        ended := ended || job.job_id;
      END IF;
    END IF;
    states := states || (SELECT state FROM ingest_jobs WHERE job_id = job.job_id);
  END LOOP;
  IF cardinality(ended) > 0 THEN
    PERFORM tell_waiters(ended);
  END IF;
END
$$;

-- What was received of a running job is what its file has, and no more: who repeats the upload continues there. The worker's
-- word may be old; then lines are sent again that are known.
CREATE OR REPLACE FUNCTION lose_received(p_job uuid, p_log text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE ingest_jobs SET log_id = p_log, received_line = next_line - 1, received_chain = next_chain, received_at = now(),
    end_line = NULL, end_chain = NULL, waits_for = 'upload'
  WHERE job_id = p_job AND ended_at IS NULL
    AND (received_line >= next_line OR end_line IS NOT NULL OR log_id <> p_log OR waits_for <> 'upload');
  IF FOUND THEN
    PERFORM add_job_event(p_job, 'job.lost', (SELECT jsonb_build_object('from_line', next_line) FROM ingest_jobs WHERE job_id = p_job));
  END IF;
END
$$;

-- Jobs of these partitions whose lines the log has lost: it was read beyond the time at which they were received, and their
-- file does not have them; or they were received by a log that is not the lane's any more. How many. The clocks of
-- gateways, log and database differ by less than a minute.
CREATE OR REPLACE FUNCTION note_lost(p_lineage bigint, p_log text, p_partitions integer[], p_partition_count integer)
RETURNS integer LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  lost uuid[];
  each uuid;
BEGIN
  PERFORM need_read_committed();
  IF lineage() <> p_lineage THEN
    RETURN 0;
  END IF;
  lost := ARRAY(
    SELECT j.job_id
    FROM unnest(p_partitions) AS u (partition)
    CROSS JOIN LATERAL (
      SELECT p.accepted_through FROM positions AS p WHERE p.log_id = p_log AND p.partition = u.partition ORDER BY p.position DESC LIMIT 1) AS p
    JOIN ingest_jobs AS j ON j.ended_at IS NULL AND j.kind = 'upload'
      AND j.bucket >= (u.partition * 1024 + p_partition_count - 1) / p_partition_count
      AND j.bucket < ((u.partition + 1) * 1024 + p_partition_count - 1) / p_partition_count
    WHERE (j.received_line >= j.next_line OR j.end_line IS NOT NULL)
      AND j.received_at + interval '1 minute' < CASE WHEN j.log_id = p_log THEN p.accepted_through ELSE now() END
    ORDER BY j.job_id LIMIT 1000);
  FOREACH each IN ARRAY lost LOOP
    PERFORM lose_received(each, p_log);
  END LOOP;
  RETURN cardinality(lost);
END
$$;

-- Running jobs of these partitions whose graph is there no more, or has another life, end; so do those of topics, which have
-- their graph's partition as well. How many. A job's row is younger than its graph's, whoever made it: so a graph that has none
-- was dropped.
CREATE OR REPLACE FUNCTION end_dropped(p_partitions integer[], p_partition_count integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  gone uuid[];
  each uuid;
BEGIN
  PERFORM need_read_committed();
  gone := ARRAY(
    SELECT j.job_id
    FROM unnest(p_partitions) AS u (partition)
    JOIN ingest_jobs AS j ON j.ended_at IS NULL
      AND j.bucket >= (u.partition * 1024 + p_partition_count - 1) / p_partition_count
      AND j.bucket < ((u.partition + 1) * 1024 + p_partition_count - 1) / p_partition_count
    WHERE NOT EXISTS (
      SELECT 1 FROM graphs AS g
      WHERE g.tenant = j.tenant AND g.graph = j.graph AND g.incarnation = j.incarnation AND g.state <> 'dropping')
    ORDER BY j.job_id LIMIT 1000);
  FOREACH each IN ARRAY gone LOOP
    PERFORM settle_job(each, 'failed', 'graph_dropped', 'its graph was dropped');
  END LOOP;
  PERFORM tell_waiters(gone);
  RETURN cardinality(gone);
END
$$;

-- A partition is read again from p_to, because the log does not hold p_from any more, up to which it was done. Only from
-- there: whoever was faster has set it back, or has come further since. Lines that are read twice are known.
CREATE OR REPLACE FUNCTION reset_position(p_lineage bigint, p_log text, p_partition integer, p_from bigint, p_to bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
  IF lineage() <> p_lineage THEN
    RETURN false;
  END IF;
  UPDATE positions SET position = p_to WHERE log_id = p_log AND partition = p_partition AND position = p_from AND p_to < p_from;
  RETURN FOUND;
END
$$;
