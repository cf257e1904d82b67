-- Creates a topic unless it is there; answers how many partitions it has.
CREATE OR REPLACE FUNCTION log_make_topic(p_topic text, p_partition_count integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  found_count integer;
BEGIN
  INSERT INTO log_topics (topic, partition_count) VALUES (p_topic, p_partition_count) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    INSERT INTO log_partitions (topic_id, partition)
    SELECT t.topic_id, p FROM log_topics AS t, generate_series(0, p_partition_count - 1) AS p WHERE t.topic = p_topic;
    INSERT INTO log_leases (topic_id, partition)
    SELECT l.topic_id, l.partition FROM log_partitions AS l JOIN log_topics AS t USING (topic_id) WHERE t.topic = p_topic;
  END IF;
  SELECT partition_count INTO found_count FROM log_topics WHERE topic = p_topic;
  RETURN found_count;
END
$$;

-- Forgets a topic with everything in it.
CREATE OR REPLACE FUNCTION log_drop_topic(p_topic text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  gone uuid;
BEGIN
  DELETE FROM log_topics WHERE topic = p_topic RETURNING topic_id INTO gone;
  DELETE FROM log_records WHERE topic_id = gone;
END
$$;

-- Appends records; answers their positions in the order they were given, NULL for one whose partition does not exist.
-- Locks partitions in ascending order: appends of several gateways queue, and never deadlock. The row of a partition is
-- looked for by its newest next_position, and written by that (migrations/0015_growing_keys.sql).
--
-- A record of a turn or a job that was erased comes empty into the log, however late its gateway is: it has its position, and
-- says nothing. The rule: whether it was erased is looked up under the lock of the partition, and the last look of an erasure
-- (erase_log) waits for that lock. So what was appended before that look is seen by it, and what is appended after it sees
-- that turn and job were erased, which was committed before. As long as the row is here by which this is known, that is until
-- its records have left the log (role retention), nothing of them stands in it.
-- Turns that were minted since all erasures were done are none of theirs, and are not looked up: so an append costs nothing more
-- once the last one is an hour old. By that hour clocks of gateways may differ; what says that it comes from later than that is
-- looked up, too.
CREATE OR REPLACE FUNCTION log_append(p_topic text, p_partitions integer[], p_keys bytea[], p_values bytea[], p_headers bytea[])
RETURNS bigint[] LANGUAGE plpgsql VOLATILE
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  this uuid;
  locked integer[];
  firsts bigint[] := '{}';
  first bigint;
  result bigint[];
  counts integer[];
  kept_from bigint;
  kept_to bigint := extract(epoch FROM clock_timestamp()) * 1000 + 3600000;
BEGIN
  SELECT topic_id INTO this FROM log_topics WHERE topic = p_topic;
  SELECT array_agg(u.partition ORDER BY u.partition), array_agg(u.n ORDER BY u.partition) INTO locked, counts
  FROM (SELECT partition, count(*)::integer AS n FROM unnest(p_partitions) AS partition GROUP BY partition) AS u;

  -- One by one: for a join the planner may go through the whole index, dead versions too, of a table that has a row per
  -- partition.
  FOR i IN 1..cardinality(locked) LOOP
    SELECT next_position INTO first FROM log_partitions WHERE topic_id = this AND partition = locked[i]
    ORDER BY next_position DESC LIMIT 1 FOR UPDATE;
    UPDATE log_partitions SET next_position = first + counts[i]
    WHERE topic_id = this AND partition = locked[i] AND next_position = first;
    firsts := firsts || first;
  END LOOP;

  -- Nobody looks where nothing was ever erased, or receipts are forgotten.
  SELECT CASE WHEN EXISTS (SELECT 1 FROM erasures WHERE ended_at IS NULL) THEN 9223372036854775807
    ELSE (SELECT extract(epoch FROM max(ended_at)) * 1000 + 3600000 FROM erasures WHERE ended_at IS NOT NULL) END INTO kept_from;
  IF kept_from IS NOT NULL THEN
    PERFORM need_read_committed();
    SELECT array_agg(CASE WHEN e.is_erased THEN '' ELSE u.value END ORDER BY u.ord),
           array_agg(CASE WHEN NOT e.is_erased THEN u.headers END ORDER BY u.ord)
    INTO p_values, p_headers
    FROM unnest(p_values, p_headers) WITH ORDINALITY AS u (value, headers, ord)
    CROSS JOIN LATERAL (
      SELECT minted_ms(u.value) NOT BETWEEN kept_from AND kept_to AND is_record_erased(u.value) AS is_erased OFFSET 0) AS e;
  END IF;

  -- At the time of the lock, so that times grow with positions.
  WITH numbered AS (
    SELECT u.ord, u.partition, u.key, u.value, u.headers,
           f.first + row_number() OVER (PARTITION BY u.partition ORDER BY u.ord) - 1 AS position
    FROM unnest(p_partitions, p_keys, p_values, p_headers) WITH ORDINALITY AS u (partition, key, value, headers, ord)
    LEFT JOIN unnest(locked, firsts) AS f (partition, first) ON f.partition = u.partition),
  inserted AS (
    INSERT INTO log_records (topic_id, partition, position, at, key, value, headers)
    SELECT this, n.partition, n.position, clock_timestamp(), n.key, n.value, n.headers
    FROM numbered AS n WHERE n.position IS NOT NULL)
  SELECT array_agg(n.position ORDER BY n.ord) INTO result FROM numbered AS n;
  RETURN result;
END
$$;

-- Records of several partitions from given positions on: in order within each, at most p_limit rows and, beyond the
-- first, p_bytes bytes in all.
CREATE OR REPLACE FUNCTION log_fetch(p_topic_id uuid, p_partitions integer[], p_positions bigint[], p_limit integer, p_bytes bigint)
RETURNS TABLE (partition integer, "position" bigint, at_ms bigint, key bytea, value bytea, headers bytea)
LANGUAGE plpgsql VOLATILE ROWS 400
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  -- The innermost limit ends the nested loop early; what each partition gives is a prefix of what it has.
  RETURN QUERY
  SELECT s.partition, s.position, s.at_ms, s.key, s.value, s.headers
  FROM (
    SELECT found.*, row_number() OVER in_order AS nth, sum(octet_length(found.value) + 100) OVER in_order AS total_bytes
    FROM (
      SELECT w.ord, w.partition, r.*
      FROM unnest(p_partitions, p_positions) WITH ORDINALITY AS w (partition, position, ord)
      CROSS JOIN LATERAL (
        SELECT l.position, (extract(epoch FROM l.at) * 1000)::bigint AS at_ms, l.key, l.value, l.headers
        FROM log_records AS l
        WHERE l.topic_id = p_topic_id AND l.partition = w.partition AND l.position >= w.position
        ORDER BY l.position LIMIT p_limit) AS r
      LIMIT p_limit) AS found
    WINDOW in_order AS (ORDER BY found.ord, found.position ROWS UNBOUNDED PRECEDING)) AS s
  WHERE s.nth = 1 OR s.total_bytes <= p_bytes
  ORDER BY s.nth;
END
$$;

-- Forgets up to p_limit records before p_position; answers the first position that is left.
CREATE OR REPLACE FUNCTION log_trim(p_topic text, p_partition integer, p_position bigint, p_limit integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  this uuid;
  old_begin bigint;
  old_next bigint;
  new_begin bigint;
BEGIN
  SELECT l.topic_id, l.begin_position, least(greatest(p_position, l.begin_position), l.begin_position + p_limit, l.next_position),
    l.next_position
  INTO this, old_begin, new_begin, old_next
  FROM log_topics AS t CROSS JOIN LATERAL (
    SELECT * FROM log_partitions AS n WHERE n.topic_id = t.topic_id AND n.partition = p_partition
    ORDER BY n.next_position DESC LIMIT 1 FOR UPDATE) AS l
  WHERE t.topic = p_topic;
  IF new_begin > old_begin THEN
    UPDATE log_partitions SET begin_position = new_begin
    WHERE topic_id = this AND partition = p_partition AND next_position = old_next;
    DELETE FROM log_records
    WHERE topic_id = this AND partition = p_partition AND position >= old_begin AND position < new_begin;
  END IF;
  RETURN new_begin;
END
$$;

CREATE OR REPLACE FUNCTION log_member_lock(p_member_no integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (x'41524C47'::bigint << 32) | p_member_no -- "ARLG": no key of another use begins so
$$;

-- Which member each partition (0, 1, …) should belong to: the one whose hash with it is the lowest (HRW) among those that
-- have less than their share. So all have the same number or one more, and few move when a member comes or goes.
CREATE OR REPLACE FUNCTION log_shares(p_members uuid[], p_partition_count integer) RETURNS uuid[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  n integer := cardinality(p_members);
  loads integer[] := array_fill(0, ARRAY[n]);
  left_over integer := p_partition_count % n; -- so many may have one more than the others
  share integer := p_partition_count / n;
  best integer;
  result uuid[] := '{}';
BEGIN
  FOR p IN 0..p_partition_count - 1 LOOP
    SELECT i INTO best FROM generate_series(1, n) AS i
    WHERE loads[i] < share OR (loads[i] = share AND left_over > 0)
    ORDER BY hashtextextended(p_members[i]::text, p), p_members[i] LIMIT 1;
    IF loads[best] = share THEN
      left_over := left_over - 1;
    END IF;
    loads[best] := loads[best] + 1;
    result := result || p_members[best];
  END LOOP;
  RETURN result;
END
$$;

-- A member says that it lives, and learns what it may read: gives up what is not its own, takes what is its own and
-- free.
-- Called on the member's own connection, whose session holds its lock. p_member leaves when p_ttl_s is 0.
--   topic_id: NULL when there is no such topic; held: what it may read now; is_settled: it holds all that is its own
CREATE OR REPLACE FUNCTION log_round(p_topic text, p_member uuid, p_ttl_s double precision,
                          OUT topic_id uuid, OUT held integer[], OUT is_settled boolean)
LANGUAGE plpgsql VOLATILE SET jit = off SET enable_seqscan = off AS $$
DECLARE
  this uuid;
  my_no integer;
  my_partition_count integer;
  living uuid[];
  shares uuid[];
BEGIN
  SELECT t.topic_id, t.partition_count INTO this, my_partition_count FROM log_topics AS t WHERE t.topic = p_topic;
  IF this IS NULL THEN
    RETURN;
  END IF;
  topic_id := this;
  -- One round of a topic at a time: they would only wait for each other's rows in another order.
  PERFORM pg_advisory_xact_lock(hashtextextended('argosy.log/' || this, 0));
  IF p_ttl_s = 0 THEN
    UPDATE log_leases AS l SET member_id = NULL WHERE l.topic_id = this AND l.member_id = p_member;
    DELETE FROM log_members WHERE member_id = p_member;
    RETURN;
  END IF;

  UPDATE log_members AS m SET expires_at = clock_timestamp() + make_interval(secs => p_ttl_s), topic_id = this
  WHERE m.member_id = p_member RETURNING m.member_no INTO my_no;
  IF NOT FOUND THEN
    INSERT INTO log_members (member_id, topic_id, expires_at)
    VALUES (p_member, this, clock_timestamp() + make_interval(secs => p_ttl_s)) RETURNING member_no INTO my_no;
  END IF;
  -- Not granted while an old session of this member lingers: until then that one is the sign of life.
  IF NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
                 AND (classid::bigint << 32 | objid::bigint) = log_member_lock(my_no) AND objsubid = 1) THEN
    PERFORM pg_try_advisory_lock(log_member_lock(my_no));
  END IF;

  living := ARRAY(
    SELECT m.member_id FROM log_members AS m
    WHERE m.topic_id = this AND (m.member_id = p_member OR m.expires_at > clock_timestamp() AND EXISTS (
      SELECT 1 FROM pg_locks AS k
      WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1
        AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (k.classid::bigint << 32 | k.objid::bigint) = log_member_lock(m.member_no))));
  DELETE FROM log_members AS m WHERE m.topic_id = this AND m.member_id <> ALL (living) AND m.expires_at < clock_timestamp() - interval '1 minute';

  shares := log_shares(living, my_partition_count);
  UPDATE log_leases AS l SET member_id = CASE WHEN shares[l.partition + 1] = p_member THEN p_member END
  WHERE l.topic_id = this
    AND CASE WHEN shares[l.partition + 1] = p_member THEN l.member_id IS NULL OR l.member_id <> ALL (living)
             ELSE l.member_id = p_member END;

  SELECT coalesce(array_agg(l.partition ORDER BY l.partition), '{}') INTO held
  FROM log_leases AS l WHERE l.topic_id = this AND l.member_id = p_member;
  is_settled := cardinality(held) = cardinality(array_positions(shares, p_member));
END
$$;
