-- The first members, all at once and only when there are none; whether they were written. The lock lasts as long as the
-- transaction; 'ARSH': no key of another use begins so.
CREATE OR REPLACE FUNCTION seed_shards(p_members uuid[], p_endpoints text[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '5s' AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(x'41525348'::bigint << 32);
  IF EXISTS (SELECT 1 FROM shards) THEN
    RETURN false;
  END IF;
  INSERT INTO shards (member_id, endpoint) SELECT * FROM unnest(p_members, p_endpoints);
  RETURN true;
END
$$;

-- Graphs whose time is over are marked, the oldest first; what is marked anybody may finish.
CREATE OR REPLACE FUNCTION expire_graphs(p_role text, p_term bigint, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  expired integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE graphs SET state = 'dropping' WHERE ctid = ANY (ARRAY(
    SELECT g.ctid FROM graphs AS g WHERE g.expires_at < now() AND g.state <> 'dropping'
    ORDER BY g.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED)) AND expires_at < now();
  GET DIAGNOSTICS expired = ROW_COUNT;
  RETURN expired;
END
$$;
