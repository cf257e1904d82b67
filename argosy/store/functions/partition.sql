CREATE OR REPLACE FUNCTION partition_lock_class(lane text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtext('argosy.partition/' || lane)
$$;

-- A claim makes the caller the owner of partitions: it waits for the flushes in flight of the owner before (their
-- shared locks), raises the epoch, and is over when it commits; what was there is loaded afterwards. From its commit
-- on no flush with an older epoch can write (I4). Epochs never repeat: the lineage is their upper half.
-- p_expected: only those that still have this epoch (an adoption: whoever was faster keeps it); NULL: whatever it is.
CREATE OR REPLACE FUNCTION claim(p_worker uuid, p_address text, p_lane text, p_partitions integer[], p_expected bigint[])
RETURNS TABLE (claimed_partition integer, claimed_epoch bigint, former_owner uuid, former_epoch bigint)
LANGUAGE plpgsql VOLATILE
-- A flush takes milliseconds. A process that holds its locks for longer has stopped: the caller ends its backend and claims again.
SET lock_timeout = '2s' AS $$
DECLARE
  p integer;
BEGIN
  PERFORM need_read_committed();
  FOR p IN SELECT u FROM unnest(p_partitions) AS u ORDER BY u LOOP
    PERFORM pg_advisory_xact_lock(partition_lock_class(p_lane), p);
  END LOOP;
  RETURN QUERY
  WITH wanted AS (
    SELECT u.partition FROM unnest(p_partitions, p_expected) AS u (partition, expected)
    WHERE p_expected IS NULL OR EXISTS (
      SELECT 1 FROM partitions AS had WHERE had.lane = p_lane AND had.partition = u.partition AND had.epoch = u.expected)),
  claimed AS (
    INSERT INTO partitions AS mine (lane, partition, epoch, owner, address)
    SELECT p_lane, w.partition, (lineage() << 32) | 1, p_worker, p_address FROM wanted AS w ORDER BY w.partition
    ON CONFLICT (lane, partition) DO UPDATE SET
      epoch = (greatest(mine.epoch >> 32, lineage()) << 32) | ((mine.epoch & 4294967295) + 1),
      owner = p_worker, address = p_address, claimed_at = now(),
      last_owner = coalesce(mine.owner, mine.last_owner), last_epoch = mine.epoch
    RETURNING mine.partition, mine.epoch, mine.last_owner, mine.last_epoch),
  -- Nobody asks for what was left two owners ago, unless the one between died before it could leave anything.
  old AS (
    DELETE FROM handovers AS h USING claimed AS c
    WHERE h.lane = p_lane AND h.partition = c.partition AND h.epoch < c.last_epoch
      AND EXISTS (SELECT 1 FROM handovers AS n WHERE n.lane = p_lane AND n.partition = c.partition AND n.epoch = c.last_epoch))
  SELECT c.partition, c.epoch, c.last_owner, c.last_epoch FROM claimed AS c;
END
$$;

-- An owner lets partitions go, or says what it left after it lost them: one note per partition and epoch, whoever owns it
-- now, and nobody owns it any more if it was still the caller's.
--   t_: the turns of which it still runs a step, or waits for another that does (runner)
CREATE OR REPLACE FUNCTION give(
  p_worker uuid, p_lane text, p_partitions integer[], p_epochs bigint[], p_settled boolean[],
  t_partition integer[], t_turn uuid[], t_runner text[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  INSERT INTO handovers (lane, partition, epoch, worker_id, is_settled, turn_ids, runners)
  SELECT p_lane, u.partition, u.epoch, p_worker, u.settled,
         ARRAY(SELECT t.turn FROM unnest(t_partition, t_turn) WITH ORDINALITY AS t (partition, turn, ord) WHERE t.partition = u.partition ORDER BY t.ord),
         ARRAY(SELECT t.runner FROM unnest(t_partition, t_runner) WITH ORDINALITY AS t (partition, runner, ord) WHERE t.partition = u.partition ORDER BY t.ord)
  FROM unnest(p_partitions, p_epochs, p_settled) AS u (partition, epoch, settled)
  ORDER BY u.partition
  ON CONFLICT DO NOTHING;
  UPDATE partitions AS p SET owner = NULL, address = NULL, last_owner = p_worker, claimed_at = now()
  FROM unnest(p_partitions, p_epochs) AS mine (partition, epoch)
  WHERE p.lane = p_lane AND p.partition = mine.partition AND p.epoch = mine.epoch AND p.owner = p_worker;
  IF FOUND THEN
    PERFORM pg_notify('argosy_fleet', ''); -- whoever lives looks for what nobody owns
  END IF;
END
$$;
