-- Forgets those of some turns of one partition that may go, with all that belongs to them, and sessions that are left
-- without turns, with their graphs; answers how many turns. One whose record could be read stays, or a copy of it that is no
-- late one: it would run again. So does one of which a duplicate stays: that one's record would find its key free.
-- The partition's places are held, so that no accept of it is under way: none counts on a session or a key that goes here.
CREATE OR REPLACE FUNCTION purge_turns(p_role text, p_term bigint, p_lane text, p_partition integer, p_turns uuid[], p_age_s double precision)
RETURNS integer LANGUAGE plpgsql VOLATILE
SET lock_timeout = '2s' SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  forgettable timestamptz;
  gone uuid[];
  gone_sessions uuid[];
BEGIN
  PERFORM hold_term(p_role, p_term);
  PERFORM lock_places(p_lane, ARRAY[p_partition]);
  forgettable := forgotten_before(p_lane, p_partition);
  -- Duplicates first: what they are duplicates of may go with them.
  gone := ARRAY(
    SELECT t.turn_id FROM turns AS t
    WHERE t.turn_id = ANY (p_turns) AND t.duplicate_of IS NOT NULL
      AND t.lane = p_lane AND t.ended_at < now() - make_interval(secs => p_age_s) AND t.accepted_at < forgettable);
  gone := gone || ARRAY(
    SELECT t.turn_id FROM turns AS t
    WHERE t.turn_id = ANY (p_turns) AND t.duplicate_of IS NULL
      AND t.lane = p_lane AND t.ended_at < now() - make_interval(secs => p_age_s) AND t.accepted_at < forgettable
      AND NOT EXISTS (SELECT 1 FROM turns AS d WHERE d.duplicate_of = t.turn_id AND d.turn_id <> ALL (gone)));
  gone := ARRAY(SELECT u FROM unnest(gone) AS u ORDER BY u);
  IF cardinality(gone) = 0 THEN
    RETURN 0;
  END IF;
  WITH dead AS (DELETE FROM turns WHERE turn_id = ANY (gone) RETURNING session_id)
  SELECT array_agg(DISTINCT session_id ORDER BY session_id) INTO gone_sessions FROM dead;
  DELETE FROM events WHERE turn_id = ANY (gone);
  DELETE FROM inbox WHERE turn_id = ANY (gone);
  gone_sessions := forget_sessions(gone_sessions);
  -- Their graphs go with them, and are not found by a session of the same name that begins anew.
  UPDATE graphs SET state = 'dropping' WHERE session_id = ANY (gone_sessions) AND state <> 'dropping';
  RETURN cardinality(gone);
END
$$;

-- Records that could not become turns, when the log has forgotten them, too; and what was sent to turns that never came.
CREATE OR REPLACE FUNCTION purge_strays(p_role text, p_term bigint, p_age_s double precision, p_limit integer) RETURNS integer
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
      AND NOT EXISTS (SELECT 1 FROM turns AS t WHERE t.turn_id = b.turn_id AND t.tenant = b.tenant)
    ORDER BY b.sent_at LIMIT p_limit));
  GET DIAGNOSTICS purged_rows = ROW_COUNT;
  purged := purged + purged_rows;
  -- A turn that is here although an accept did not see what waited for it (the sender took another number of partitions
  -- for the log's); and one that never comes: its partition is accepted through ten minutes after it was sent to, and
  -- nobody started it.
  PERFORM deliver_early(ARRAY(
    SELECT e.turn_id FROM early AS e JOIN turns AS t ON t.turn_id = e.turn_id ORDER BY e.sent_at LIMIT p_limit));
  DELETE FROM early WHERE inbox_id = ANY (ARRAY(
    SELECT e.inbox_id
    FROM early AS e
    JOIN lane_logs AS l ON l.lane = e.lane
    JOIN positions AS p ON p.log_id = l.cluster_id || '/' || l.topic_id AND p.partition = e.bucket * l.partition_count / 1024
    WHERE e.sent_at < p.accepted_through - interval '10 minutes'
      AND NOT EXISTS (SELECT 1 FROM turns AS t WHERE t.turn_id = e.turn_id)
      AND NOT EXISTS (SELECT 1 FROM starts AS s WHERE s.turn_id = e.turn_id)
    ORDER BY e.sent_at LIMIT p_limit));
  GET DIAGNOSTICS purged_rows = ROW_COUNT;
  RETURN purged + purged_rows;
END
$$;
