-- Signals that are on their way: the owner of a turn is told of one while it is being written (proto, Poke), and waits here
-- until it is committed, which is sooner than the writer could say so.

-- Held by who writes a signal, until its commit (inbox.sql, send_inbox).
CREATE FUNCTION signal_lock(p_turn uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('argosy.signal/' || p_turn::text, 0)
$$;

-- The signals of these turns that are due once those have been committed that were being written when this was called.
-- Each statement inside sees what was committed before it began. Who cannot commit is not waited for: nothing is found
-- then, and what is due is found by who looks for that.
CREATE FUNCTION await_signals(p_turns uuid[], p_lane text)
RETURNS TABLE (inbox_id uuid, turn_id uuid, bucket smallint, name text, payload bytea) LANGUAGE plpgsql VOLATILE
SET lock_timeout = '100ms' SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  each uuid;
BEGIN
  FOR each IN SELECT u FROM unnest(p_turns) AS u ORDER BY u LOOP
    PERFORM pg_advisory_xact_lock_shared(signal_lock(each));
  END LOOP;
  RETURN QUERY
  SELECT b.inbox_id, b.turn_id, b.bucket, b.name, b.payload FROM inbox AS b
  WHERE b.turn_id = ANY (p_turns) AND b.lane = p_lane AND b.kind = 'signal' AND b.state = 'due'
  ORDER BY b.sent_at, b.inbox_id;
EXCEPTION WHEN lock_not_available THEN
  RETURN;
END
$$;
