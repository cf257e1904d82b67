-- Maintenance: one leader per role, and what the roles need.

-- The lock of a role saves work; its term gives safety: every write of a role names the term under which it is made.
CREATE TABLE leaders (
  role text PRIMARY KEY,
  term bigint NOT NULL,
  worker_id uuid NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  ticked_at timestamptz,
  outcome text NOT NULL DEFAULT ''
);

CREATE FUNCTION role_lock(p_role text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (x'4152524F'::bigint << 32) | (hashtext(p_role)::bigint & 4294967295) -- "ARRO": no key of another use begins so
$$;

-- A new leader. Terms never repeat, whatever backup the database comes from: like epochs they begin with the lineage.
-- Waits for a write of the former leader that is in flight; what that one writes later is refused.
CREATE FUNCTION take_term(p_role text, p_worker uuid, p_host text, p_pid integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  INSERT INTO leaders AS mine (role, term, worker_id, host, pid) VALUES (p_role, (lineage() << 32) | 1, p_worker, p_host, p_pid)
  ON CONFLICT (role) DO UPDATE SET
    term = (greatest(mine.term >> 32, lineage()) << 32) | ((mine.term & 4294967295) + 1),
    worker_id = p_worker, host = p_host, pid = p_pid, since = now(), ticked_at = NULL, outcome = ''
  RETURNING term
$$;

-- First in every write of a role, before any other lock: holds the leader's row until the write is committed, so that a new
-- leader's term comes before it or after it, and never in between. SQLSTATE AR002: somebody else leads.
CREATE FUNCTION hold_term(p_role text, p_term bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM 1 FROM leaders WHERE role = p_role AND term = p_term FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'term % of role % is over', p_term, p_role USING ERRCODE = 'AR002';
  END IF;
END
$$;

-- Role trim

-- Where each partition of a log stood at some moments of the last days: what is before the newest mark that is old enough
-- was accepted that long ago.
CREATE TABLE position_marks (
  log_id text NOT NULL,
  at timestamptz NOT NULL,
  partition integer NOT NULL,
  position bigint NOT NULL,
  PRIMARY KEY (log_id, at, partition)
);

-- The record of everything that was accepted before trimmed_through is gone from the log.
ALTER TABLE positions ADD COLUMN trimmed_through timestamptz NOT NULL DEFAULT '-infinity';

-- Marks where the logs of the lanes stand, unless that was done in the last p_spacing_s. A mark above the position of today
-- is of a log that was cut back and is read anew: other records stand there now, and nobody may trim them by it. Of marks
-- that are older than p_lag_s the newest alone has a use, and of a log that no lane is on, none.
CREATE FUNCTION mark_positions(p_role text, p_term bigint, p_lag_s double precision, p_spacing_s double precision) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  DELETE FROM position_marks AS m USING positions AS p
  WHERE p.log_id = m.log_id AND p.partition = m.partition AND m.position > p.position;
  DELETE FROM position_marks AS m
  WHERE m.at < (SELECT max(n.at) FROM position_marks AS n WHERE n.log_id = m.log_id AND n.at <= now() - make_interval(secs => p_lag_s))
     OR NOT EXISTS (SELECT 1 FROM lane_logs AS l WHERE l.cluster_id || '/' || l.topic_id = m.log_id);
  INSERT INTO position_marks (log_id, at, partition, position)
  SELECT p.log_id, now(), p.partition, p.position
  FROM lane_logs AS l JOIN positions AS p ON p.log_id = l.cluster_id || '/' || l.topic_id AND p.lane = l.lane
  WHERE NOT EXISTS (SELECT 1 FROM position_marks AS m WHERE m.log_id = p.log_id AND m.at > now() - make_interval(secs => p_spacing_s));
END
$$;

-- The log was trimmed up to what was marked at p_at.
CREATE FUNCTION note_trimmed(p_role text, p_term bigint, p_log text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE positions AS p SET trimmed_through = p_at
  FROM position_marks AS m
  WHERE m.log_id = p_log AND m.at = p_at AND p.log_id = p_log AND p.partition = m.partition AND p.trimmed_through < p_at;
END
$$;

-- As log_trim, of this very topic (one made again under its name is another) and under a term. NULL: there is none.
CREATE FUNCTION log_trim_as(p_role text, p_term bigint, p_topic_id uuid, p_partition integer, p_position bigint, p_limit integer)
RETURNS bigint LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  RETURN (SELECT log_trim(t.topic, p_partition, p_position, p_limit) FROM log_topics AS t WHERE t.topic_id = p_topic_id);
END
$$;

-- Role retention

-- What ended, in the order in which it is forgotten. Ends come in the order of time: every insertion is at the right edge.
CREATE INDEX turns_ended ON turns (ended_at, turn_id) WHERE ended_at IS NOT NULL;
CREATE INDEX inbox_late ON inbox (sent_at) WHERE state = 'late';

-- Until when turns of a partition of this lane were accepted whose record is certainly gone from the log. An accept's rows
-- carry the time at which it began, and a mark made meanwhile does not hold them: no accept takes ten minutes.
CREATE FUNCTION gone_from_log(p_lane text, p_partition integer) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT p.trimmed_through - interval '10 minutes'
          FROM lane_logs AS l JOIN positions AS p ON p.log_id = l.cluster_id || '/' || l.topic_id
          WHERE l.lane = p_lane AND p.partition = p_partition);
END
$$;

-- Forgets those of some turns of one partition that may go, with all that belongs to them, and sessions that are left
-- without turns; answers how many turns. One whose record is still in the log stays: if it were read again, it would run
-- again. So does one of which a duplicate stays: that one's record would find its key free.
-- The partition's places are held, so that no accept of it is under way: none counts on a session or a key that goes here.
CREATE FUNCTION purge_turns(p_role text, p_term bigint, p_lane text, p_partition integer, p_turns uuid[], p_age_s double precision)
RETURNS integer LANGUAGE plpgsql VOLATILE
SET lock_timeout = '2s' SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  trimmed timestamptz;
  gone uuid[];
  gone_sessions uuid[];
BEGIN
  PERFORM hold_term(p_role, p_term);
  PERFORM lock_places(p_lane, ARRAY[p_partition]);
  trimmed := gone_from_log(p_lane, p_partition);
  -- Duplicates first: what they are duplicates of may go with them.
  gone := ARRAY(
    SELECT t.turn_id FROM turns AS t
    WHERE t.turn_id = ANY (p_turns) AND t.duplicate_of IS NOT NULL
      AND t.lane = p_lane AND t.ended_at < now() - make_interval(secs => p_age_s) AND t.accepted_at < trimmed);
  gone := gone || ARRAY(
    SELECT t.turn_id FROM turns AS t
    WHERE t.turn_id = ANY (p_turns) AND t.duplicate_of IS NULL
      AND t.lane = p_lane AND t.ended_at < now() - make_interval(secs => p_age_s) AND t.accepted_at < trimmed
      AND NOT EXISTS (SELECT 1 FROM turns AS d WHERE d.duplicate_of = t.turn_id AND d.turn_id <> ALL (gone)));
  gone := ARRAY(SELECT u FROM unnest(gone) AS u ORDER BY u);
  IF cardinality(gone) = 0 THEN
    RETURN 0;
  END IF;
  WITH dead AS (DELETE FROM turns WHERE turn_id = ANY (gone) RETURNING session_id)
  SELECT array_agg(DISTINCT session_id ORDER BY session_id) INTO gone_sessions FROM dead;
  DELETE FROM events WHERE turn_id = ANY (gone);
  DELETE FROM inbox WHERE turn_id = ANY (gone);
  DELETE FROM sessions AS s
  WHERE s.session_id = ANY (gone_sessions) AND NOT EXISTS (SELECT 1 FROM turns AS t WHERE t.session_id = s.session_id);
  RETURN cardinality(gone);
END
$$;

-- Records that could not become turns, when the log has forgotten them, too; and what was sent to turns that never came.
CREATE FUNCTION purge_strays(p_role text, p_term bigint, p_age_s double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  purged integer;
  purged_rows integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  -- By lists, not by joins: whatever the planner believes, neither table is read as a whole.
  DELETE FROM dead_letters WHERE ctid = ANY (ARRAY(
    SELECT d.ctid
    FROM (SELECT lane FROM lane_logs) AS l
    CROSS JOIN LATERAL (
      SELECT d.ctid, d.log_id, d.partition, d.at FROM dead_letters AS d
      WHERE d.lane = l.lane AND d.at < now() - make_interval(secs => p_age_s) ORDER BY d.at LIMIT p_limit) AS d
    LEFT JOIN positions AS p ON p.log_id = d.log_id AND p.partition = d.partition
    WHERE p.trimmed_through IS NULL OR d.at < p.trimmed_through - interval '10 minutes'));
  GET DIAGNOSTICS purged = ROW_COUNT;
  DELETE FROM inbox WHERE inbox_id = ANY (ARRAY(
    SELECT b.inbox_id FROM inbox AS b
    WHERE b.state = 'late' AND b.sent_at < now() - make_interval(secs => p_age_s)
      AND NOT EXISTS (SELECT 1 FROM turns AS t WHERE t.turn_id = b.turn_id)
    ORDER BY b.sent_at LIMIT p_limit));
  GET DIAGNOSTICS purged_rows = ROW_COUNT;
  RETURN purged + purged_rows;
END
$$;
