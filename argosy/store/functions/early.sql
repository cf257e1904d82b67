-- Sends something to a turn that is not here yet: the row of the request, this one's or an earlier one's; is_full: the turn
-- has as many signals as it may have, is_tenant_full: its tenant has as much waiting for turns that are not here as it may
-- have; then nothing was written. The tenant's bound is for who sends to turns that never come: as many may pass it as come
-- at the same moment. No row: the turn is here by now, and whoever sends looks for it again.
-- The places of its partition are held, shared, until the commit: an accept that brings the turn comes before this, and is
-- seen here, or after it, and sees what was written here. Signals to one turn are written one after the other (signal.sql).
CREATE OR REPLACE FUNCTION send_early(
  p_partition integer, p_id uuid, p_lane text, p_bucket smallint, p_tenant text, p_turn uuid, p_kind text, p_name text,
  p_request text, p_payload bytea, p_rows_max integer, p_size_bytes_max bigint, p_tenant_rows_max integer,
  p_tenant_size_bytes_max bigint
) RETURNS TABLE (sent_id uuid, sent_payload bytea, is_full boolean, is_tenant_full boolean) LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  IF p_kind = 'signal' THEN
    PERFORM pg_advisory_xact_lock(signal_lock(p_turn));
  END IF;
  PERFORM pg_advisory_xact_lock_shared(places_lock_class(p_lane), p_partition);
  IF EXISTS (SELECT 1 FROM turns WHERE turn_id = p_turn) THEN
    RETURN;
  END IF;
  is_full := p_kind = 'signal' AND (
    SELECT count(*) >= p_rows_max OR coalesce(sum(octet_length(e.payload)), 0) + octet_length(p_payload) > p_size_bytes_max
    FROM early AS e WHERE e.turn_id = p_turn AND e.tenant = p_tenant AND e.kind = 'signal');
  is_tenant_full := (
    SELECT count(*) >= p_tenant_rows_max
      OR coalesce(sum(octet_length(sent.payload)), 0) + coalesce(octet_length(p_payload), 0) > p_tenant_size_bytes_max
    FROM (SELECT e.payload FROM early AS e WHERE e.tenant = p_tenant LIMIT p_tenant_rows_max) AS sent);
  IF NOT is_full AND NOT is_tenant_full THEN
    INSERT INTO early (inbox_id, lane, bucket, tenant, turn_id, kind, name, request_id, payload)
    VALUES (p_id, p_lane, p_bucket, p_tenant, p_turn, p_kind, p_name, p_request, p_payload)
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN QUERY
  SELECT e.inbox_id, e.payload, false, false FROM early AS e
  WHERE e.turn_id = p_turn AND e.tenant = p_tenant AND e.kind = p_kind AND e.name = p_name AND e.request_id = p_request;
  IF NOT FOUND THEN
    RETURN NEXT;
  END IF;
END
$$;

-- What a process of the version before sends.
CREATE OR REPLACE FUNCTION send_early(
  p_partition integer, p_id uuid, p_lane text, p_bucket smallint, p_tenant text, p_turn uuid, p_kind text, p_name text,
  p_request text, p_payload bytea, p_rows_max integer, p_size_bytes_max bigint
) RETURNS TABLE (sent_id uuid, sent_payload bytea, is_full boolean) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN QUERY
  SELECT s.sent_id, s.sent_payload, s.is_full
  FROM send_early(p_partition, p_id, p_lane, p_bucket, p_tenant, p_turn, p_kind, p_name, p_request, p_payload, p_rows_max,
    p_size_bytes_max, 2147483647, 9223372036854775807) AS s;
END
$$;

-- These turns are here now, those among them that are: what came before them is theirs when its sender is of their tenant,
-- and never takes effect otherwise. What was sent to a duplicate is its original's, under whose name the same request may
-- have a row: one key, one row, whatever name it was sent to.
CREATE OR REPLACE FUNCTION deliver_early(p_turns uuid[]) RETURNS void LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  WITH here AS (
    DELETE FROM early AS e USING turns AS t
    WHERE e.turn_id = ANY (p_turns) AND t.turn_id = e.turn_id
    RETURNING e.*, t.session_id, coalesce(t.duplicate_of, t.turn_id) AS original, t.tenant = e.tenant AND t.lane = e.lane AS is_theirs)
  INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name, request_id, payload, sent_at)
  SELECT inbox_id, lane, bucket, tenant, session_id, original, kind, name, request_id, payload, sent_at FROM here
  WHERE is_theirs
  ORDER BY original, kind, name, request_id, sent_at, inbox_id
  ON CONFLICT DO NOTHING;
END
$$;
