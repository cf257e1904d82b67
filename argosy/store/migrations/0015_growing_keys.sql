-- Rows that every flush, accept and append writes anew. While somebody holds an old snapshot (a dump, a forgotten
-- transaction, a slot), none of their dead versions may go, and a look-up by a key that stays the same goes through all
-- of them. So the key ends with what grows: the newest version is at the right end of its index, found at once however
-- many dead ones lie to its left. The primary key of before held one row per stream or partition; now the writer does:
-- a stream's row and a topic's are made once, and positions have a trigger.
ALTER TABLE flush_streams DROP CONSTRAINT flush_streams_pkey, ADD PRIMARY KEY (worker_id, stream, no);
ALTER TABLE flush_streams SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

ALTER TABLE positions DROP CONSTRAINT positions_pkey, ADD PRIMARY KEY (log_id, partition, position);
ALTER TABLE positions SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

ALTER TABLE log_leases DROP CONSTRAINT log_leases_topic_id_partition_fkey;
ALTER TABLE log_partitions DROP CONSTRAINT log_partitions_pkey, ADD PRIMARY KEY (topic_id, partition, next_position);
ALTER TABLE log_partitions SET (autovacuum_vacuum_threshold = 2000);
ALTER TABLE log_leases ADD FOREIGN KEY (topic_id) REFERENCES log_topics (topic_id) ON DELETE CASCADE;

-- One row per partition of a log: whoever inserts a second one, inserts none. See functions/position.sql.
CREATE FUNCTION keep_one_position() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM positions WHERE log_id = NEW.log_id AND partition = NEW.partition) THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('argosy.positions/' || NEW.log_id, 0));
    IF NOT EXISTS (SELECT 1 FROM positions WHERE log_id = NEW.log_id AND partition = NEW.partition) THEN
      RETURN NEW;
    END IF;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER keep_one_position BEFORE INSERT ON positions FOR EACH ROW EXECUTE FUNCTION keep_one_position();
