-- Before a row of positions is inserted: there is one per partition of a log, and its key ends with the position, which
-- moves (migrations/0015_growing_keys.sql). One lock for all partitions of a log, taken only when the row seems to be
-- missing: who opens several cannot meet who opens them in another order. Each statement sees what was committed before.
CREATE OR REPLACE FUNCTION keep_one_position() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF position_of(NEW.log_id, NEW.partition) IS NULL THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('argosy.positions/' || NEW.log_id, 0));
    IF position_of(NEW.log_id, NEW.partition) IS NULL THEN
      RETURN NEW;
    END IF;
  END IF;
  RETURN NULL;
END
$$;

-- Where a partition of a log is accepted up to. The newest version is the last one of its index.
CREATE OR REPLACE FUNCTION position_of(p_log text, p_partition integer) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (SELECT position FROM positions WHERE log_id = p_log AND partition = p_partition ORDER BY position DESC LIMIT 1);
END
$$;
