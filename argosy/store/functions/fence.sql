-- The number and the fence: the few statements in which correctness lives.
--
-- Every function is VOLATILE under READ COMMITTED, so each statement inside sees what was committed before that
-- statement began: a lock taken by one statement protects what the next one reads. Under any other isolation it would
-- see what was committed before it waited: that is refused, whoever calls (SQLSTATE AR004). The planner settings keep
-- index lookups in cached plans that were made while the tables were small. The order of locks: migrations/0001_spine.sql.

CREATE OR REPLACE FUNCTION need_read_committed() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'this session runs %, and the fence needs read committed', current_setting('transaction_isolation')
      USING ERRCODE = 'AR004';
  END IF;
END
$$;

-- The number: `no` follows the stream's last number, or equals it (the same call sent again after an unknown outcome:
-- the row lock makes it wait for the first one's backend; the stored answer is returned). Any other number means that
-- the database went back in time: everything the worker owns is void (SQLSTATE AR001). The row is looked for by its newest
-- number, and written by its old one: its dead versions are never gone through (migrations/0015_growing_keys.sql).
CREATE OR REPLACE FUNCTION is_repeated(p_worker uuid, p_stream smallint, p_no bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  last_no bigint;
BEGIN
  SELECT no INTO last_no FROM flush_streams WHERE worker_id = p_worker AND stream = p_stream
  ORDER BY no DESC LIMIT 1 FOR UPDATE;
  IF last_no = p_no - 1 THEN
    RETURN false;
  ELSIF last_no = p_no THEN
    RETURN true;
  END IF;
  RAISE EXCEPTION 'flush % of stream % does not follow %', p_no, p_stream, coalesce(last_no::text, 'anything')
    USING ERRCODE = 'AR001';
END
$$;

-- The fence: a shared lock per partition first, so that no claim can come between, and in the next statement which of
-- them still have this epoch and owner. It writes nothing: two streams of one worker do not block each other.
CREATE OR REPLACE FUNCTION fence(p_worker uuid, p_lane text, p_partitions integer[], p_epochs bigint[])
RETURNS boolean[] LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  p integer;
BEGIN
  PERFORM need_read_committed();
  FOR p IN SELECT u FROM unnest(p_partitions) AS u ORDER BY u LOOP
    PERFORM pg_advisory_xact_lock_shared(partition_lock_class(p_lane), p);
  END LOOP;
  RETURN ARRAY(
    SELECT EXISTS (
      SELECT 1 FROM partitions AS mine
      WHERE mine.lane = p_lane AND mine.partition = u.partition AND mine.epoch = u.epoch AND mine.owner = p_worker)
    FROM unnest(p_partitions, p_epochs) WITH ORDINALITY AS u (partition, epoch, ord) ORDER BY u.ord);
END
$$;

-- Accepts and placements of delayed turns give out places, in two streams: in one partition one after the other, so that
-- each sees what the other wrote. Else a turn could take a place before one that runs already, and two that do not want
-- to wait could both come in. Taken right after the fence, by which time nothing else is held that anybody waits for.
CREATE OR REPLACE FUNCTION places_lock_class(lane text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtext('argosy.places/' || lane)
$$;

CREATE OR REPLACE FUNCTION lock_places(p_lane text, p_partitions integer[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  p integer;
BEGIN
  FOR p IN SELECT DISTINCT u FROM unnest(p_partitions) AS u ORDER BY u LOOP
    PERFORM pg_advisory_xact_lock(places_lock_class(p_lane), p);
  END LOOP;
END
$$;
