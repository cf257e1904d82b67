-- Erasures: a session, a tenant, a graph or a turn is forgotten, stage by stage (workers/maintenance/erasing.py). Every write
-- carries the term of the role: of a leader that was deposed, nothing happens. Every one is bounded, and does again what is
-- there still: so whoever leads goes on where another one was killed.

-- One line of the receipt, or more of what it counts.
CREATE OR REPLACE FUNCTION count_erased(p_erasure uuid, p_place text, p_what text, p_count bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  INSERT INTO erasure_items AS mine (erasure_id, place, what, count) SELECT p_erasure, p_place, p_what, p_count WHERE p_count > 0
  ON CONFLICT (erasure_id, place, what) DO UPDATE SET count = mine.count + p_count;
END
$$;

-- The next stage; whether it was this one's to begin. What is accepted when the log has been read is what goes; of a tenant that
-- is deleted, everything (delete_tenant), but not before nothing more can come. With the end of a tenant go its tokens.
CREATE OR REPLACE FUNCTION step_erasure(p_role text, p_term bigint, p_erasure uuid, p_from text, p_to text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  its_kind text;
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE erasures SET stage = p_to, cursor = '', waits_for = '', changed_at = now(), through_at = coalesce(through_at, now()),
    ended_at = CASE WHEN p_to = 'done' THEN now() END, target = CASE WHEN p_to <> 'done' THEN target END
  WHERE erasure_id = p_erasure AND stage = p_from AND (stage <> 'reading' OR fenced_at IS NULL OR fenced_at <= now())
  RETURNING kind INTO its_kind;
  IF its_kind = 'tenant' AND p_to = 'done' THEN
    PERFORM forget_identity(p_erasure);
  END IF;
  RETURN its_kind IS NOT NULL;
END
$$;

-- How far a stage is, and what it waits for.
CREATE OR REPLACE FUNCTION note_erasure(p_role text, p_term bigint, p_erasure uuid, p_stage text, p_cursor text, p_waits_for text)
RETURNS void LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE erasures SET cursor = p_cursor, waits_for = p_waits_for, changed_at = now()
  WHERE erasure_id = p_erasure AND stage = p_stage AND (cursor, waits_for) IS DISTINCT FROM (p_cursor, p_waits_for);
END
$$;

-- What a shard says that it removed from a graph. A leader that dies before it can say so leaves it uncounted.
CREATE OR REPLACE FUNCTION note_forgotten(p_role text, p_term bigint, p_erasure uuid, p_graph text, p_nodes bigint, p_edges bigint)
RETURNS void LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  PERFORM count_erased(p_erasure, 'graph ' || p_graph, 'nodes', p_nodes);
  PERFORM count_erased(p_erasure, 'graph ' || p_graph, 'edges', p_edges);
END
$$;

-- The turns that an erasure is about, some of them, in an order that stays: those that are open, or those that have ended.
-- epoch: of the claim under which a turn of the partition may be running, or have run last.
CREATE OR REPLACE FUNCTION erasable_turns(p_erasure uuid, p_is_open boolean, p_limit integer)
RETURNS TABLE (turn uuid, its_lane text, its_bucket smallint, its_partition integer, its_session uuid, started_place bigint, its_epoch bigint)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  e record;
  found uuid[];
BEGIN
  SELECT * INTO e FROM erasures WHERE erasure_id = p_erasure;
  found := CASE e.kind
    WHEN 'session' THEN ARRAY(
      SELECT t.turn_id FROM turns AS t
      WHERE t.session_id = e.session_id AND t.tenant = e.tenant AND t.accepted_at <= e.through_at AND (t.ended_at IS NULL) = p_is_open
      ORDER BY t.accepted_at, t.turn_id LIMIT p_limit)
    WHEN 'turn' THEN ARRAY(
      SELECT t.turn_id FROM turns AS t
      WHERE t.turn_id = ANY (turn_names(coalesce((SELECT o.duplicate_of FROM turns AS o WHERE o.turn_id = e.target::uuid), e.target::uuid))) AND t.tenant = e.tenant AND (t.ended_at IS NULL) = p_is_open
      ORDER BY t.accepted_at, t.turn_id LIMIT p_limit)
    WHEN 'tenant' THEN ARRAY(
      SELECT t.turn_id FROM sessions AS s
      CROSS JOIN LATERAL (
        SELECT o.turn_id FROM turns AS o
        WHERE o.session_id = s.session_id AND o.tenant = e.tenant AND o.accepted_at <= e.through_at AND (o.ended_at IS NULL) = p_is_open
        ORDER BY o.accepted_at, o.turn_id LIMIT p_limit) AS t
      WHERE s.tenant = e.tenant LIMIT p_limit)
    ELSE '{}' END;
  RETURN QUERY
  SELECT t.turn_id, t.lane, t.bucket, coalesce(t.bucket * l.partition_count / 1024, 0), t.session_id,
         CASE WHEN t.started_at IS NOT NULL THEN t.place END,
         (SELECT p.epoch FROM partitions AS p WHERE p.lane = t.lane AND p.partition = t.bucket * l.partition_count / 1024)
  FROM turns AS t LEFT JOIN lane_logs AS l ON l.lane = t.lane
  WHERE t.turn_id = ANY (found) ORDER BY t.accepted_at, t.turn_id;
END
$$;

-- Asks turns that are open for their end, each once, as a client's cancel would; how many there are (p_limit at the most). Of a
-- tenant that is deleted, those count, too, that turns have started and nobody has accepted: by one statement, or one could be
-- neither any more, nor yet.
CREATE OR REPLACE FUNCTION cancel_erasable(p_role text, p_term bigint, p_erasure uuid, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  open uuid[];
  started integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  SELECT ARRAY(SELECT turn FROM erasable_turns(p_erasure, true, p_limit)),
         (SELECT count(*) FROM (
           SELECT 1 FROM starts AS s JOIN erasures AS e ON e.tenant = s.tenant
           WHERE e.erasure_id = p_erasure AND e.fenced_at IS NOT NULL LIMIT p_limit) AS pending)
  INTO open, started;
  INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, request_id)
  SELECT gen_random_uuid(), t.lane, t.bucket, t.tenant, t.session_id, t.turn_id, 'cancel', 'cancel' FROM turns AS t
  WHERE t.turn_id = ANY (open) ORDER BY t.turn_id
  ON CONFLICT DO NOTHING;
  RETURN least(cardinality(open) + started, p_limit);
END
$$;

-- Forgets what turns of one partition had and did, all of which have ended: what is left of each is nobody's (migration 0036).
-- With them go the sessions that have no other turns, their names and graphs. The partition's places are held, so that no
-- accept of it counts on a session or a key that goes here. Done again, it finds nothing. A turn that still has jobs stays:
-- one that begins a job holds its turn (begin_job), so either the job is seen here, or it sees that the turn is erased.
CREATE OR REPLACE FUNCTION erase_turns(p_role text, p_term bigint, p_erasure uuid, p_lane text, p_partition integer, p_turns uuid[])
RETURNS integer LANGUAGE plpgsql VOLATILE
SET lock_timeout = '2s' SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  e record;
  erased uuid[];
  keys text[];
  busy text[];
  left_sessions uuid[];
  n bigint;
BEGIN
  PERFORM hold_term(p_role, p_term);
  PERFORM need_read_committed();
  PERFORM lock_places(p_lane, ARRAY[p_partition]);
  SELECT * INTO e FROM erasures WHERE erasure_id = p_erasure;
  erased := ARRAY(
    SELECT t.turn_id FROM turns AS t
    WHERE t.turn_id = ANY (p_turns) AND t.lane = p_lane AND t.ended_at IS NOT NULL AND t.erased_at IS NULL ORDER BY t.turn_id
    FOR UPDATE);
  keys := keys_of_turns(erased);
  busy := ARRAY(
    SELECT substr(j.idempotency_key, 2, 36) FROM ingest_jobs AS j WHERE j.tenant = e.tenant AND left(j.idempotency_key, 37) = ANY (keys));
  erased := ARRAY(SELECT u.turn FROM unnest(erased) AS u (turn) WHERE u.turn::text <> ALL (busy) ORDER BY u.turn);
  IF cardinality(erased) = 0 THEN
    RETURN 0;
  END IF;
  left_sessions := ARRAY(SELECT DISTINCT t.session_id FROM turns AS t WHERE t.turn_id = ANY (erased) ORDER BY t.session_id);
  UPDATE turns SET tenant = '', session_id = '00000000-0000-0000-0000-000000000000', seq = 0, deadline_s = NULL,
    idempotency_key = NULL, request_digest = NULL, tags = NULL, traceparent = NULL, created_by = NULL, input = NULL, result = NULL, error = NULL,
    waits = NULL, reason = NULL, trial = NULL, lent_to = NULL, lent_as = NULL, erased_at = now()
  WHERE turn_id = ANY (erased);
  PERFORM count_erased(p_erasure, 'postgres', 'turns', cardinality(erased));
  DELETE FROM events WHERE turn_id = ANY (erased);
  GET DIAGNOSTICS n = ROW_COUNT;
  PERFORM count_erased(p_erasure, 'postgres', 'events', n);
  DELETE FROM inbox WHERE turn_id = ANY (erased);
  GET DIAGNOSTICS n = ROW_COUNT;
  PERFORM count_erased(p_erasure, 'postgres', 'inbox rows', n);
  DELETE FROM ingest_waiters WHERE turn_id = ANY (erased);
  left_sessions := forget_sessions(left_sessions);
  PERFORM count_erased(p_erasure, 'postgres', 'sessions', cardinality(left_sessions));
  UPDATE graphs SET state = 'dropping' WHERE session_id = ANY (left_sessions) AND state <> 'dropping';
  GET DIAGNOSTICS n = ROW_COUNT;
  PERFORM count_erased(p_erasure, 'shards', 'graphs', n);
  -- Other turns come next, of which no graph has forgotten anything.
  UPDATE erasures SET cursor = '', changed_at = now() WHERE erasure_id = p_erasure AND stage = 'turns';
  RETURN cardinality(erased);
END
$$;

-- Forgets those of these sessions that have no turns; which. The places of their partitions are the caller's.
CREATE OR REPLACE FUNCTION forget_sessions(p_sessions uuid[]) RETURNS uuid[] LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  gone uuid[];
BEGIN
  WITH dead AS (
    DELETE FROM sessions AS s
    WHERE s.session_id = ANY (p_sessions) AND NOT EXISTS (SELECT 1 FROM turns AS t WHERE t.session_id = s.session_id)
    RETURNING s.session_id)
  SELECT coalesce(array_agg(session_id), '{}') INTO gone FROM dead;
  RETURN gone;
END
$$;

-- Whether this life of a graph was made after this time, and is still there.
CREATE OR REPLACE FUNCTION is_later_life(p_tenant text, p_graph text, p_incarnation uuid, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (
    SELECT 1 FROM graphs AS g
    WHERE g.tenant = p_tenant AND g.graph = p_graph AND g.incarnation = p_incarnation AND g.created_at > p_at);
END
$$;

-- Lets nobody find the graphs of a tenant, some of them, or one of these (p_graph), or those of a session; how many are not
-- gone yet, counted to p_limit, with copies of them that a shard may have to which they were to move. Whoever is at it drops
-- them (roles graphs and rebalance).
CREATE OR REPLACE FUNCTION drop_erasable(p_role text, p_term bigint, p_erasure uuid, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  e record;
  n bigint;
  its_graph text;
BEGIN
  PERFORM hold_term(p_role, p_term);
  SELECT * INTO e FROM erasures WHERE erasure_id = p_erasure;
  its_graph := CASE e.kind WHEN 'graph' THEN e.target WHEN 'session' THEN 'session:' || e.lane || '/' || e.target END; -- argosy/graph/names.py
  UPDATE graphs SET state = 'dropping' WHERE (tenant, graph) IN (
    SELECT g.tenant, g.graph FROM graphs AS g
    WHERE g.tenant = e.tenant AND g.created_at <= e.through_at AND g.state <> 'dropping'
      AND (e.kind = 'tenant' OR (e.kind = 'graph' AND g.graph = e.target) OR (e.kind = 'session' AND g.session_id = e.session_id))
    ORDER BY g.tenant, g.graph LIMIT p_limit FOR UPDATE);
  GET DIAGNOSTICS n = ROW_COUNT;
  PERFORM count_erased(p_erasure, 'shards', 'graphs', n);
  RETURN (
    SELECT count(*) FROM (
      SELECT 1 FROM graphs AS g
      WHERE g.tenant = e.tenant AND g.created_at <= e.through_at
        AND (e.kind = 'tenant' OR (e.kind = 'graph' AND g.graph = e.target) OR (e.kind = 'session' AND g.session_id = e.session_id))
      UNION ALL
      SELECT 1 FROM graph_moves AS m
      WHERE m.ended_at IS NULL AND m.state <> 'planned'
        AND m.tenant = e.tenant AND (e.kind = 'tenant' OR m.graph = its_graph) AND NOT is_later_life(m.tenant, m.graph, m.incarnation, e.through_at)
      UNION ALL
      SELECT 1 FROM graph_moves AS m
      WHERE m.is_target_dirty
        AND m.tenant = e.tenant AND (e.kind = 'tenant' OR m.graph = its_graph) AND NOT is_later_life(m.tenant, m.graph, m.incarnation, e.through_at)
      LIMIT p_limit) AS mine);
END
$$;

-- What the keys of jobs begin with that these turns started (key_of_turn in argosy/ingest/job.py): no client's key does.
CREATE OR REPLACE FUNCTION keys_of_turns(p_turns uuid[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(array_agg(chr(1) || u.turn::text), '{}') FROM unnest(p_turns) AS u (turn)
$$;

-- The jobs that these turns started, some of them, in an order that stays: the same ones until these are erased. Those that
-- run end now, so that no worker begins with them anew.
CREATE OR REPLACE FUNCTION end_jobs_of(p_role text, p_term bigint, p_erasure uuid, p_turns uuid[], p_limit integer)
RETURNS TABLE (job uuid, its_graph text, its_incarnation uuid, its_made_at timestamptz)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  its_tenant text;
  keys text[] := keys_of_turns(p_turns);
  due uuid[];
  each uuid;
BEGIN
  PERFORM hold_term(p_role, p_term);
  PERFORM need_read_committed();
  its_tenant := (SELECT e.tenant FROM erasures AS e WHERE e.erasure_id = p_erasure);
  due := ARRAY( -- found by their keys, and then put in order: by the order of all jobs it would be looked for among all
    SELECT f.job_id FROM (
      SELECT j.job_id FROM ingest_jobs AS j WHERE j.tenant = its_tenant AND left(j.idempotency_key, 37) = ANY (keys) OFFSET 0) AS f
    ORDER BY f.job_id LIMIT p_limit);
  FOREACH each IN ARRAY due LOOP
    PERFORM settle_job(each, 'cancelled', 'erased', 'its turn was erased');
  END LOOP;
  PERFORM tell_waiters(due);
  RETURN QUERY
  SELECT j.job_id, j.graph, j.incarnation, j.made_at FROM ingest_jobs AS j WHERE j.job_id = ANY (due) ORDER BY j.job_id;
END
$$;

-- Forgets jobs that have ended: rejects, bit by bit, events, and at last whose they were. A row stays until the log has
-- forgotten the job's records: one that is read again must find that its job has ended, and keeps no rejects any more.
CREATE OR REPLACE FUNCTION erase_ended_jobs(p_role text, p_term bigint, p_erasure uuid, p_jobs uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  gone uuid[];
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE ingest_jobs SET rejects_kept = 2147483647 WHERE job_id = ANY (p_jobs) AND rejects_kept < 2147483647;
  PERFORM count_erased(p_erasure, 'postgres', 'rejects', forget_rejects(p_jobs));
  gone := jobs_without_rejects(p_jobs);
  UPDATE ingest_jobs SET tenant = '', graph = '', idempotency_key = NULL, reason = '' WHERE job_id = ANY (gone);
  DELETE FROM ingest_events WHERE job_id = ANY (gone);
  PERFORM count_erased(p_erasure, 'postgres', 'jobs', cardinality(gone));
END
$$;

-- Forgets jobs of a tenant, of one graph or of a session's own, which end now if they run (erase_ended_jobs). How many it came
-- to, p_limit at the most.
CREATE OR REPLACE FUNCTION erase_jobs(p_role text, p_term bigint, p_erasure uuid, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  e record;
  due uuid[];
  each uuid;
BEGIN
  PERFORM hold_term(p_role, p_term);
  PERFORM need_read_committed();
  SELECT * INTO e FROM erasures WHERE erasure_id = p_erasure;
  due := ARRAY(
    SELECT j.job_id FROM ingest_jobs AS j
    WHERE j.tenant = e.tenant AND e.kind IN ('session', 'tenant', 'graph') AND j.made_at <= e.through_at
      AND (e.kind = 'tenant' OR j.graph = CASE e.kind WHEN 'session' THEN 'session:' || e.lane || '/' || e.target ELSE e.target END) -- argosy/graph/names.py
    ORDER BY j.job_id LIMIT p_limit);
  FOREACH each IN ARRAY due LOOP
    PERFORM settle_job(each, 'cancelled', 'erased', 'its graph was erased');
  END LOOP;
  PERFORM tell_waiters(due);
  PERFORM erase_ended_jobs(p_role, p_term, p_erasure, due);
  RETURN cardinality(due);
END
$$;

-- Forgets what belongs to no turn: what was sent to turns that never came, and dead letters whose value says at one of these
-- places that they are of whom is erased. Receipts of before do not name graphs that are gone. How many rows, of each kind
-- p_limit at the most.
CREATE OR REPLACE FUNCTION erase_strays(p_role text, p_term bigint, p_erasure uuid, p_needle bytea, p_places integer[], p_limit integer)
RETURNS integer LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  e record;
  early_rows integer;
  late_rows integer;
  letters integer;
  its_graph text; -- that is gone as a whole
BEGIN
  PERFORM hold_term(p_role, p_term);
  SELECT * INTO e FROM erasures WHERE erasure_id = p_erasure;
  its_graph := CASE e.kind WHEN 'graph' THEN e.target WHEN 'session' THEN 'session:' || e.lane || '/' || e.target END; -- argosy/graph/names.py
  DELETE FROM inbox WHERE inbox_id = ANY (ARRAY(
    SELECT b.inbox_id FROM inbox AS b
    WHERE b.state = 'late' AND b.sent_at <= e.through_at AND b.tenant = e.tenant
      AND (e.kind = 'tenant' OR (e.kind = 'turn' AND b.turn_id::text = e.target))
    ORDER BY b.inbox_id LIMIT p_limit));
  GET DIAGNOSTICS late_rows = ROW_COUNT;
  DELETE FROM early WHERE inbox_id = ANY (ARRAY(
    SELECT y.inbox_id FROM early AS y
    WHERE y.tenant = e.tenant AND y.sent_at <= e.through_at
      AND (e.kind = 'tenant' OR (e.kind = 'turn' AND y.turn_id::text = e.target))
    ORDER BY y.inbox_id LIMIT p_limit));
  GET DIAGNOSTICS early_rows = ROW_COUNT;
  DELETE FROM dead_letters WHERE ctid = ANY (ARRAY(
    SELECT d.ctid FROM dead_letters AS d
    WHERE d.at <= e.through_at AND EXISTS (
      SELECT 1 FROM unnest(p_places) AS u (place) WHERE substring(d.value FROM u.place FOR length(p_needle)) = p_needle)
    LIMIT p_limit));
  GET DIAGNOSTICS letters = ROW_COUNT;
  IF e.kind <> 'turn' THEN
    DELETE FROM graph_moves AS m
    WHERE m.tenant = e.tenant AND m.ended_at IS NOT NULL AND NOT m.is_target_dirty AND (e.kind = 'tenant' OR m.graph = its_graph);
    UPDATE shard_plans SET after_tenant = '', after_graph = ''
    WHERE ended_at IS NOT NULL AND after_tenant = e.tenant AND (e.kind = 'tenant' OR after_graph = its_graph);
    DELETE FROM erasure_items AS i USING erasures AS o
    WHERE o.erasure_id = i.erasure_id AND o.tenant = e.tenant
      AND (i.place = 'graph ' || its_graph OR (e.kind = 'tenant' AND i.place LIKE 'graph %'));
  END IF;
  PERFORM count_erased(p_erasure, 'postgres', 'inbox rows', early_rows + late_rows);
  PERFORM count_erased(p_erasure, 'postgres', 'dead letters', letters);
  RETURN early_rows + late_rows + letters;
END
$$;

-- Empties the records of turns and jobs that were erased, as far as they are in Postgres's own log: p_limit records of one
-- partition from p_position on. Answer: where to go on; NULL: there are no more. An empty record is read as one of which no
-- turn can be made. What stands where in a record: argosy/record.py, argosy/ingest/record.py; behind a list of more than 15
-- parts two bytes later. The end is looked at under the lock of the partition, which is taken before records, as a trim does:
-- see log_append.
CREATE OR REPLACE FUNCTION erase_log(p_role text, p_term bigint, p_erasure uuid, p_topic_id uuid, p_partition integer, p_position bigint, p_limit integer)
RETURNS bigint LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  here bigint;
  is_end boolean;
  last bigint;
  looked integer;
  mine bigint[];
BEGIN
  PERFORM hold_term(p_role, p_term);
  PERFORM need_read_committed();
  SELECT greatest(p_position, l.begin_position), l.next_position - greatest(p_position, l.begin_position) <= p_limit
  INTO here, is_end
  FROM log_partitions AS l WHERE l.topic_id = p_topic_id AND l.partition = p_partition ORDER BY l.next_position DESC LIMIT 1;
  IF is_end IS NULL THEN
    RETURN NULL; -- the topic is gone
  END IF;
  IF is_end THEN
    PERFORM 1 FROM log_partitions AS l
    WHERE l.topic_id = p_topic_id AND l.partition = p_partition ORDER BY l.next_position DESC LIMIT 1 FOR SHARE;
  END IF;
  SELECT max(r.position), count(*),
         coalesce(array_agg(r.position ORDER BY r.position) FILTER (WHERE is_record_erased(r.value)), '{}')
  INTO last, looked, mine
  FROM (
    SELECT l.position, l.value FROM log_records AS l
    WHERE l.topic_id = p_topic_id AND l.partition = p_partition AND l.position >= here ORDER BY l.position LIMIT p_limit) AS r;
  UPDATE log_records SET value = '', headers = NULL
  WHERE topic_id = p_topic_id AND partition = p_partition AND position = ANY (mine);
  PERFORM count_erased(p_erasure, 'postgres log', 'records', cardinality(mine));
  RETURN CASE WHEN NOT is_end OR looked = p_limit THEN coalesce(last + 1, here) END;
END
$$;

-- Whether a record is of a turn or a job that was erased. A record of ingest begins with its kind, and is of a job.
CREATE OR REPLACE FUNCTION is_record_erased(p_value bytea) RETURNS boolean LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
  head integer;
  tag integer := 0;
  id uuid;
BEGIN
  IF octet_length(p_value) < 32 THEN
    RETURN false;
  END IF;
  head := CASE WHEN get_byte(p_value, 1) = 220 THEN 4 ELSE 2 END; -- behind the version and the list's length
  IF get_byte(p_value, head) BETWEEN 161 AND 191 THEN
    tag := 1 + get_byte(p_value, head) - 160; -- a short text: the kind of a record of ingest
  END IF;
  IF octet_length(p_value) < head + tag + 18 THEN
    RETURN false; -- whatever it is, it is none of ours
  END IF;
  id := encode(substring(p_value FROM head + tag + 3 FOR 16), 'hex')::uuid; -- behind the two bytes of bytes of this length
  IF tag > 0 THEN
    RETURN EXISTS (SELECT 1 FROM ingest_jobs AS j WHERE j.job_id = id AND j.tenant = '');
  END IF;
  RETURN EXISTS (SELECT 1 FROM turns AS t WHERE t.turn_id = id AND t.erased_at IS NOT NULL);
END
$$;

-- When the turn of a record was minted, in Unix milliseconds by its gateway's clock: an id begins with that (argosy/ids.py). 0: it
-- does not say. What stands where: see is_record_erased.
CREATE OR REPLACE FUNCTION minted_ms(p_value bytea) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  head integer;
BEGIN
  IF octet_length(p_value) < 32 THEN
    RETURN 0;
  END IF;
  head := CASE WHEN get_byte(p_value, 1) = 220 THEN 4 ELSE 2 END;
  IF get_byte(p_value, head) <> 196 OR get_byte(p_value, head + 1) <> 16 OR get_byte(p_value, head + 8) / 16 <> 8 THEN
    RETURN 0; -- these are not 16 bytes, or no UUIDv8
  END IF;
  RETURN ('x' || encode(substring(p_value FROM head + 3 FOR 6), 'hex'))::bit(48)::bigint;
END
$$;

-- The turn that a record is of; NULL: it does not say. What stands where: see is_record_erased.
CREATE OR REPLACE FUNCTION turn_of_record(p_value bytea) RETURNS uuid LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  head integer;
BEGIN
  IF octet_length(p_value) < 32 THEN
    RETURN NULL;
  END IF;
  head := CASE WHEN get_byte(p_value, 1) = 220 THEN 4 ELSE 2 END;
  IF get_byte(p_value, head) <> 196 OR get_byte(p_value, head + 1) <> 16 THEN
    RETURN NULL;
  END IF;
  RETURN encode(substring(p_value FROM head + 3 FOR 16), 'hex')::uuid;
END
$$;

-- Names what an erasure does not reach: backups that were made before it ended, and logs outside Postgres (p_until NULL: there
-- are none), with the time when they have forgotten what they had until now. Of a backup it says whether the keys of its sealed
-- payloads are apart: then those of a tenant that is deleted cannot be read in it. Done again, it names the same.
CREATE OR REPLACE FUNCTION name_left(p_role text, p_term bigint, p_erasure uuid, p_until timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  INSERT INTO erasure_items (erasure_id, place, what, until)
  SELECT p_erasure, 'log ' || l.topic, 'records', p_until FROM erasures AS e
  JOIN lane_logs AS l ON CASE e.kind WHEN 'tenant' THEN true WHEN 'graph' THEN l.lane = '*ingest' ELSE l.lane = e.lane END
    OR (l.lane = '*ingest' AND EXISTS (
      SELECT 1 FROM erasure_items AS i WHERE i.erasure_id = p_erasure AND i.place = 'postgres' AND i.what = 'jobs'))
  WHERE e.erasure_id = p_erasure AND p_until IS NOT NULL
  ON CONFLICT (erasure_id, place, what) DO NOTHING;
  INSERT INTO erasure_items (erasure_id, place, what)
  SELECT p_erasure, 'backup ' || b.backup_id, to_char(b.made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ', ' || b.place
    || CASE b.keys WHEN 'apart' THEN ', keys apart' WHEN 'none' THEN ', nothing sealed' ELSE '' END
  FROM backups AS b WHERE b.gone_at IS NULL
  ON CONFLICT (erasure_id, place, what) DO NOTHING;
END
$$;

-- Names what an erasure of a tenant leaves in the audit, which is only added to, until p_until.
CREATE OR REPLACE FUNCTION name_audit(p_role text, p_term bigint, p_erasure uuid, p_until timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  INSERT INTO erasure_items (erasure_id, place, what, until)
  SELECT p_erasure, 'postgres', 'rows of the audit', p_until FROM erasures AS e
  WHERE e.erasure_id = p_erasure AND e.kind = 'tenant' AND EXISTS (SELECT 1 FROM audit AS a WHERE a.tenant = e.tenant)
  ON CONFLICT (erasure_id, place, what) DO NOTHING;
END
$$;

-- Forgets erasures that were done p_age_s ago, with their receipts; how many.
CREATE OR REPLACE FUNCTION purge_erasures(p_role text, p_term bigint, p_age_s double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  gone uuid[];
BEGIN
  PERFORM hold_term(p_role, p_term);
  gone := ARRAY(
    SELECT erasure_id FROM erasures WHERE ended_at < now() - make_interval(secs => p_age_s) ORDER BY ended_at LIMIT p_limit);
  DELETE FROM erasures WHERE erasure_id = ANY (gone);
  DELETE FROM erasure_items WHERE erasure_id = ANY (gone);
  RETURN cardinality(gone);
END
$$;
