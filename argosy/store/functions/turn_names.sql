CREATE OR REPLACE FUNCTION turn_names(p_turn uuid) RETURNS uuid[] LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN array_append(ARRAY(SELECT turn_id FROM turns WHERE duplicate_of = p_turn), p_turn);
END
$$;
