-- Marks where the logs of the lanes stand, unless that was done in the last p_spacing_s. A mark above the position of today
-- is of a log that was cut back and is read anew: other records stand there now, and nobody may trim them by it. Of marks
-- that are older than p_lag_s the newest alone has a use, and of a log that no lane is on, none.
CREATE OR REPLACE FUNCTION mark_positions(p_role text, p_term bigint, p_lag_s double precision, p_spacing_s double precision) RETURNS void
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
CREATE OR REPLACE FUNCTION note_trimmed(p_role text, p_term bigint, p_log text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE positions AS p SET trimmed_through = p_at
  FROM position_marks AS m
  WHERE m.log_id = p_log AND m.at = p_at AND p.log_id = p_log AND p.partition = m.partition AND p.trimmed_through < p_at;
END
$$;

-- As log_trim, of this very topic (one made again under its name is another) and under a term. NULL: there is none.
CREATE OR REPLACE FUNCTION log_trim_as(p_role text, p_term bigint, p_topic_id uuid, p_partition integer, p_position bigint, p_limit integer)
RETURNS bigint LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  RETURN (SELECT log_trim(t.topic, p_partition, p_position, p_limit) FROM log_topics AS t WHERE t.topic_id = p_topic_id);
END
$$;

-- Until when turns of a partition of this lane were accepted whose record is certainly gone from the log. An accept's rows
-- carry the time at which it began, and a mark made meanwhile does not hold them: no accept takes ten minutes.
CREATE OR REPLACE FUNCTION gone_from_log(p_lane text, p_partition integer) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT p.trimmed_through - interval '10 minutes'
          FROM lane_logs AS l CROSS JOIN LATERAL (
            SELECT n.trimmed_through FROM positions AS n
            WHERE n.log_id = l.cluster_id || '/' || l.topic_id AND n.partition = p_partition
            ORDER BY n.position DESC LIMIT 1) AS p
          WHERE l.lane = p_lane);
END
$$;

-- Until when turns of a partition of this lane were accepted that role retention may forget: their record is gone from the log,
-- and a copy of it that somebody appends from now on comes too late to be a new turn (workers/dispatch/lateness.py has the rule:
-- LATE_S is the day; by the hour a gateway's clock may be fast).
CREATE OR REPLACE FUNCTION forgotten_before(p_lane text, p_partition integer) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT least(gone_from_log(p_lane, p_partition), p.accepted_through - interval '25 hours')
          FROM lane_logs AS l CROSS JOIN LATERAL (
            SELECT n.accepted_through FROM positions AS n
            WHERE n.log_id = l.cluster_id || '/' || l.topic_id AND n.partition = p_partition
            ORDER BY n.position DESC LIMIT 1) AS p
          WHERE l.lane = p_lane);
END
$$;
