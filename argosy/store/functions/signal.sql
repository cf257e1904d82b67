-- Held by whoever writes a signal to the turn, until the commit.
CREATE OR REPLACE FUNCTION signal_lock(p_turn uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('argosy.signal/' || p_turn::text, 0)
$$;

-- Whether a turn may be sent one more signal, of so many bytes: what it has not taken is bounded, under whichever of its
-- names it was sent. Asked by the holder of signal_lock, in a statement of its own, so that it sees what those before it wrote.
CREATE OR REPLACE FUNCTION has_room_for_signal(p_turn uuid, p_tenant text, p_size_bytes integer, p_rows_max integer, p_size_bytes_max bigint)
RETURNS boolean LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN (
    SELECT count(*) < p_rows_max AND coalesce(sum(octet_length(b.payload)), 0) + p_size_bytes <= p_size_bytes_max
    FROM inbox AS b
    WHERE b.turn_id = ANY (turn_names(p_turn)) AND b.tenant = p_tenant AND b.kind = 'signal' AND b.state IN ('due', 'buffered'));
END
$$;

-- Writes a signal to a turn that is accepted, is no duplicate, and has not ended: the turn, and whether it has no room for
-- more (then nothing was written). No row: the turn is none of these, or the request has a row already.
-- Signals to one turn are written one after the other, so that none passes its bounds, however many come at once.
CREATE OR REPLACE FUNCTION send_signal(
  p_turn uuid, p_tenant text, p_lane text, p_id uuid, p_name text, p_request text, p_payload bytea, p_rows_max integer, p_size_bytes_max bigint
) RETURNS TABLE (to_session uuid, to_status text, to_attempt integer, to_seq integer, is_full boolean) LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  to_bucket smallint;
BEGIN
  PERFORM pg_advisory_xact_lock(signal_lock(p_turn));
  SELECT t.session_id, t.status, t.attempt, t.seq, t.bucket INTO to_session, to_status, to_attempt, to_seq, to_bucket
  FROM turns AS t
  WHERE t.turn_id = p_turn AND t.tenant = p_tenant AND t.lane = p_lane AND t.duplicate_of IS NULL AND t.ended_at IS NULL;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  is_full := NOT has_room_for_signal(p_turn, p_tenant, octet_length(p_payload), p_rows_max, p_size_bytes_max);
  IF NOT is_full THEN
    INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, request_id, payload)
    VALUES (p_id, p_lane, to_bucket, p_tenant, to_session, p_turn, 'signal', p_name, p_request, p_payload)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
      RETURN NEXT;
    END IF;
  ELSIF NOT EXISTS (
    SELECT 1 FROM inbox AS b
    WHERE b.turn_id = p_turn AND b.tenant = p_tenant AND b.kind = 'signal' AND b.name = p_name AND b.request_id = p_request) THEN
    RETURN NEXT;
  END IF;
END
$$;

-- The signals of these turns that are due once those have been committed that were being written when this was called.
-- Each statement inside sees what was committed before it began.
--
-- Each turn's lock is given back at once (by undoing the block that took it): who writes to another turn must not wait for
-- this one. A writer that cannot commit is not waited for either: its signal is found when it is due, by whoever looks for that.
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
