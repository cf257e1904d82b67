-- Which states one flush may write over which: the reachability of argosy/turn/transitions.py, compared by a test.
CREATE OR REPLACE FUNCTION may_become(before text, after text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE before
    WHEN 'queued' THEN after IN ('running', 'suspended', 'parked', 'completed', 'failed', 'cancelled', 'expired', 'rejected', 'merged')
    WHEN 'running' THEN after IN ('running', 'suspended', 'parked', 'completed', 'failed', 'cancelled', 'expired')
    WHEN 'suspended' THEN after IN ('running', 'suspended', 'parked', 'completed', 'failed', 'cancelled', 'expired')
    WHEN 'parked' THEN after IN ('running', 'suspended', 'parked', 'completed', 'failed', 'cancelled', 'expired')
    ELSE false
  END
$$;

CREATE OR REPLACE FUNCTION has_ended(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT status IN ('completed', 'failed', 'cancelled', 'expired', 'rejected', 'merged', 'duplicate')
$$;
