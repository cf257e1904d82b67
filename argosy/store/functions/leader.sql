CREATE OR REPLACE FUNCTION role_lock(p_role text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (x'4152524F'::bigint << 32) | (hashtext(p_role)::bigint & 4294967295) -- "ARRO": no key of another use begins so
$$;

-- A new leader. Terms never repeat, whatever backup the database comes from: like epochs they begin with the lineage.
-- Waits for a write of the former leader that is in flight; what that one writes later is refused.
CREATE OR REPLACE FUNCTION take_term(p_role text, p_worker uuid, p_host text, p_pid integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  INSERT INTO leaders AS mine (role, term, worker_id, host, pid) VALUES (p_role, (lineage() << 32) | 1, p_worker, p_host, p_pid)
  ON CONFLICT (role) DO UPDATE SET
    term = (greatest(mine.term >> 32, lineage()) << 32) | ((mine.term & 4294967295) + 1),
    worker_id = p_worker, host = p_host, pid = p_pid, since = now(), ticked_at = NULL, outcome = ''
  RETURNING term
$$;

-- First in every write of a role, before any other lock: holds the leader's row until the write is committed, so that a new
-- leader's term comes before it or after it, and never in between. SQLSTATE AR002: somebody else leads.
CREATE OR REPLACE FUNCTION hold_term(p_role text, p_term bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM 1 FROM leaders WHERE role = p_role AND term = p_term FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'term % of role % is over', p_term, p_role USING ERRCODE = 'AR002';
  END IF;
END
$$;
