CREATE OR REPLACE FUNCTION worker_lock(p_worker_no integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (x'41525749'::bigint << 32) | p_worker_no -- "ARWI": no key of another use begins so
$$;
