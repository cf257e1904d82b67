-- Maintenance: one leader per role, and what the roles need.

-- The lock of a role saves work; its term gives safety: every write of a role names the term under which it is made.
CREATE TABLE leaders (
  role text PRIMARY KEY,
  term bigint NOT NULL,
  leader uuid NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  ticked_at timestamptz NOT NULL DEFAULT now(),
  outcome text NOT NULL DEFAULT ''
);

CREATE FUNCTION role_lock(p_role text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (x'4152524F'::bigint << 32) | (hashtext(p_role)::bigint & 4294967295) -- "ARRO": no key of another use begins so
$$;

-- First in every write of a role: holds the leader's row until the write is committed, so that a new leader's term comes
-- before it or after it, and never in between. SQLSTATE AR002: somebody else leads.
CREATE FUNCTION hold_term(p_role text, p_term bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM 1 FROM leaders WHERE role = p_role AND term = p_term FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'term % of role % is over', p_term, p_role USING ERRCODE = 'AR002';
  END IF;
END
$$;

-- Where each partition of a log stood at some moments of the last days: what is before the newest mark that is old enough
-- was accepted that long ago.
CREATE TABLE position_marks (
  log_id text NOT NULL,
  at timestamptz NOT NULL,
  partition integer NOT NULL,
  position bigint NOT NULL,
  PRIMARY KEY (log_id, at, partition)
);

-- Everything that was accepted before trimmed_through is gone from the log.
ALTER TABLE positions ADD COLUMN trimmed_through timestamptz NOT NULL DEFAULT '-infinity';

CREATE INDEX turns_ended ON turns (lane, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX turns_duplicates ON turns (duplicate_of) WHERE duplicate_of IS NOT NULL;

-- Marks where the logs stand, unless that was done in the last p_spacing_s.
CREATE FUNCTION mark_positions(p_role text, p_term bigint, p_spacing_s double precision) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  marked integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  INSERT INTO position_marks (log_id, at, partition, position)
  SELECT p.log_id, now(), p.partition, p.position FROM positions AS p
  WHERE NOT EXISTS (SELECT 1 FROM position_marks AS m WHERE m.log_id = p.log_id AND m.at > now() - make_interval(secs => p_spacing_s));
  GET DIAGNOSTICS marked = ROW_COUNT;
  RETURN marked;
END
$$;

-- The log was trimmed up to what was marked at p_at; older marks have no use any more.
CREATE FUNCTION note_trimmed(p_role text, p_term bigint, p_log text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE positions AS p SET trimmed_through = greatest(p.trimmed_through, p_at)
  FROM position_marks AS m
  WHERE m.log_id = p_log AND m.at = p_at AND p.log_id = p_log AND p.partition = m.partition;
  DELETE FROM position_marks WHERE log_id = p_log AND at < p_at;
END
$$;

-- Forgets up to p_limit ended turns of a lane with all that belongs to them; answers how many.
-- Only such whose record is gone from the log (accepted before p_accepted_before), and of which no younger duplicate is
-- known: if that one's record were read again, its key would be found free, and the request would run a second time.
-- Waits for nobody: what is locked is left for the next time.
CREATE FUNCTION purge_turns(
  p_role text, p_term bigint, p_lane text, p_partition_count integer,
  p_ended_before timestamptz, p_accepted_before timestamptz, p_limit integer
) RETURNS integer LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  gone uuid[];
  gone_sessions uuid[];
  p integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  SELECT array_agg(t.turn_id), array_agg(DISTINCT t.session_id) INTO gone, gone_sessions
  FROM (SELECT e.turn_id, e.session_id FROM turns AS e
        WHERE e.lane = p_lane AND e.ended_at < p_ended_before AND e.accepted_at < p_accepted_before
          AND NOT EXISTS (SELECT 1 FROM turns AS d WHERE d.duplicate_of = e.turn_id)
        ORDER BY e.ended_at LIMIT p_limit FOR UPDATE SKIP LOCKED) AS t;
  IF gone IS NULL THEN
    RETURN 0;
  END IF;
  DELETE FROM events WHERE turn_id = ANY (gone);
  DELETE FROM inbox WHERE turn_id = ANY (gone);
  DELETE FROM turns WHERE turn_id = ANY (gone);
  -- A session without turns goes too, where no accept is under way that may count on it: its fence holds the partition.
  FOR p IN SELECT DISTINCT s.bucket * p_partition_count / 1024 FROM sessions AS s WHERE s.session_id = ANY (gone_sessions) ORDER BY 1 LOOP
    IF pg_try_advisory_xact_lock(partition_lock_class(p_lane), p) THEN
      DELETE FROM sessions AS s
      WHERE s.session_id = ANY (gone_sessions) AND s.bucket * p_partition_count / 1024 = p
        AND NOT EXISTS (SELECT 1 FROM turns AS t WHERE t.session_id = s.session_id);
    END IF;
  END LOOP;
  RETURN cardinality(gone);
END
$$;

CREATE FUNCTION purge_dead_letters(p_role text, p_term bigint, p_lane text, p_before timestamptz, p_limit integer)
RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  purged integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  DELETE FROM dead_letters WHERE ctid IN (
    SELECT ctid FROM dead_letters WHERE lane = p_lane AND at < p_before ORDER BY at LIMIT p_limit FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS purged = ROW_COUNT;
  RETURN purged;
END
$$;
