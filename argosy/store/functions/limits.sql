-- Limits that hold for all gateways together. What follows for tenants: gateway/tenant_limits/__init__.py. The rules:
--
-- 1. A level fills at the rate, by this clock, up to its room; what gateways say that they have let through is subtracted,
--    whatever is left: what was too much is owed, and the same for all. So what passes in a time is at most what filled in
--    it, what was left, and what gateways have not told yet. Each call sees what all before it told, because it holds the row.
-- 2. What is owed is bounded, too: nobody is kept out for longer than it takes to fill this many times.
-- 3. A gateway's share is its part of what was asked for lately. Its own and the sum fade alike, so that at any moment the
--    shares of all are together what was asked for by all.
-- 4. Of the streams of a tenant that are free a gateway may open its part: what is free, in equal whole parts, of which those
--    in whose place it is now are one larger. What it may have is counted as if it were open, until it asks again; who asks for
--    the same tenant comes one after the other, so that together they never have more than there may be.
-- 5. A gateway that was not heard of for p_seen_s does not count, and neither do its streams.
-- 6. Levels are taken in the order of (tenant, kind), in which they are given, and then streams, by tenant; of other gateways' rows only those that nobody
--    holds. So calls wait for each other, and never in a circle.
-- 7. A call that is sent again, because its outcome was not learned, subtracts again: then less passes, not more.
CREATE OR REPLACE FUNCTION settle_limits(
  p_gateway uuid, p_seen_s double precision, p_fade_s double precision,
  p_tenants text[], p_kinds text[], p_rates double precision[], p_rooms double precision[], p_used double precision[],
  p_asked double precision[], p_fresh double precision[], p_streams_of text[], p_streams integer[], p_streams_max integer[]
) RETURNS TABLE (gateways bigint, place bigint, levels double precision[], shares double precision[], allowed bigint[])
LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s' AS $$
DECLARE
  owed_max CONSTANT double precision := 5; -- rooms
  new_level double precision;
  new_asked double precision;
  elsewhere bigint;
  mine bigint;
  gone uuid[];
BEGIN
  PERFORM need_read_committed();
  INSERT INTO limit_gateways AS g (gateway_id, seen_at) VALUES (p_gateway, clock_timestamp())
  ON CONFLICT (gateway_id) DO UPDATE SET seen_at = clock_timestamp();
  SELECT count(*), (count(*) FILTER (WHERE g.gateway_id < p_gateway) + extract(epoch FROM clock_timestamp())::bigint) % count(*)
    INTO gateways, place
  FROM limit_gateways AS g WHERE g.gateway_id = p_gateway OR g.seen_at > clock_timestamp() - make_interval(secs => p_seen_s);
  levels := '{}';
  shares := '{}';
  FOR nth IN 1 .. cardinality(p_tenants) LOOP
    INSERT INTO limit_levels AS l (tenant, kind, level, asked, at)
    VALUES (p_tenants[nth], p_kinds[nth], greatest(p_rooms[nth] - p_used[nth], -owed_max * p_rooms[nth]), p_asked[nth], clock_timestamp())
    ON CONFLICT (tenant, kind) DO UPDATE SET
      level = greatest(-owed_max * p_rooms[nth], least(p_rooms[nth],
        l.level + p_rates[nth] * greatest(0, extract(epoch FROM clock_timestamp() - l.at)) - p_used[nth])),
      asked = p_asked[nth] + l.asked * exp(-least(50, greatest(0, extract(epoch FROM clock_timestamp() - l.at) / p_fade_s))),
      at = clock_timestamp()
    RETURNING l.level, l.asked INTO new_level, new_asked;
    levels := levels || new_level;
    shares := shares || least(1, p_fresh[nth] / greatest(new_asked, 1e-9));
  END LOOP;
  allowed := '{}';
  DELETE FROM limit_streams AS s WHERE s.gateway_id = p_gateway AND NOT s.tenant = ANY (p_streams_of);
  FOR nth IN 1 .. cardinality(p_streams_of) LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended('argosy.limit_streams/' || p_streams_of[nth], 0));
    SELECT coalesce(sum(s.allowed), 0) INTO elsewhere
    FROM limit_streams AS s JOIN limit_gateways AS g ON g.gateway_id = s.gateway_id
    WHERE s.tenant = p_streams_of[nth] AND s.gateway_id <> p_gateway
      AND g.seen_at > clock_timestamp() - make_interval(secs => p_seen_s);
    mine := p_streams[nth] + greatest((p_streams_max[nth] - p_streams[nth] - elsewhere + place) / gateways, 0);
    INSERT INTO limit_streams AS s (tenant, gateway_id, allowed) VALUES (p_streams_of[nth], p_gateway, mine)
    ON CONFLICT (tenant, gateway_id) DO UPDATE SET allowed = excluded.allowed WHERE s.allowed <> excluded.allowed;
    allowed := allowed || mine;
  END LOOP;
  -- What a gateway that has gone left here, long after it has ceased to count.
  gone := ARRAY(
    SELECT g.gateway_id FROM limit_gateways AS g WHERE g.seen_at < clock_timestamp() - make_interval(secs => 20 * p_seen_s)
    FOR UPDATE SKIP LOCKED);
  IF cardinality(gone) > 0 THEN
    DELETE FROM limit_streams AS s WHERE s.gateway_id = ANY (gone);
    DELETE FROM limit_gateways AS g WHERE g.gateway_id = ANY (gone);
  END IF;
  RETURN NEXT;
END
$$;

-- A gateway ends in order: it does not count from now on.
CREATE OR REPLACE FUNCTION leave_limits(p_gateway uuid) RETURNS void LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s' AS $$
BEGIN
  DELETE FROM limit_gateways WHERE gateway_id = p_gateway;
  DELETE FROM limit_streams WHERE gateway_id = p_gateway;
END
$$;

-- Forgets levels that nobody told anything of for long: they are full. How many.
CREATE OR REPLACE FUNCTION forget_limits(p_age_s double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s' AS $$
DECLARE
  gone integer;
BEGIN
  DELETE FROM limit_levels WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM limit_levels WHERE at < clock_timestamp() - make_interval(secs => p_age_s) LIMIT p_limit FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END
$$;
