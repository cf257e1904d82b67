-- Held, shared, by who writes a signal to the turn, until its commit (inbox.sql, send_signal).
CREATE OR REPLACE FUNCTION signal_lock(p_turn uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('argosy.signal/' || p_turn::text, 0)
$$;

-- The signals of these turns that are due once those have been committed that were being written when this was called.
-- Each statement inside sees what was committed before it began.
--
-- Each turn's lock is given back at once (by undoing the block that took it): who writes to another turn must not wait for
-- this one. Who cannot commit is not waited for either: his signal is found when it is due, by who looks for that.
CREATE OR REPLACE FUNCTION await_signals(p_turns uuid[], p_lane text)
RETURNS TABLE (inbox_id uuid, turn_id uuid, bucket smallint, name text, payload bytea) LANGUAGE plpgsql VOLATILE
SET lock_timeout = '50ms' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  until timestamptz := clock_timestamp() + interval '50 milliseconds';
  each uuid;
BEGIN
  FOREACH each IN ARRAY p_turns LOOP
    EXIT WHEN clock_timestamp() > until;
    BEGIN
      PERFORM pg_advisory_xact_lock(signal_lock(each));
      RAISE SQLSTATE 'AR003';
    EXCEPTION WHEN SQLSTATE 'AR003' OR lock_not_available THEN
      NULL;
    END;
  END LOOP;
  RETURN QUERY
  SELECT b.inbox_id, b.turn_id, b.bucket, b.name, b.payload
  FROM inbox AS b JOIN turns AS t ON t.turn_id = b.turn_id AND t.tenant = b.tenant
  WHERE b.turn_id = ANY (p_turns) AND b.lane = p_lane AND b.kind = 'signal' AND b.state = 'due'
  ORDER BY b.sent_at, b.inbox_id;
END
$$;
