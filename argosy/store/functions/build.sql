-- When somebody of the lane was last heard of who can run a version of a workflow (NULL: any version); NULL: nobody ever
-- was. What a worker that ended in an orderly way could run is noted in `workflows` as it ends.
CREATE OR REPLACE FUNCTION build_had_at(p_lane text, p_name text, p_version text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT greatest(
    (SELECT max(f.last_seen_at) FROM workflows AS f
     WHERE f.lane = p_lane AND f.name = p_name AND (p_version IS NULL OR f.version = p_version)),
    (SELECT max(coalesce(h.at, w.started_at))
     FROM abilities AS a JOIN workers AS w ON w.worker_id = a.worker_id LEFT JOIN heartbeats AS h ON h.worker_id = w.worker_id
     WHERE w.lane = p_lane AND a.name = p_name AND (p_version IS NULL OR a.version = p_version)))
$$;

-- Since when a turn lacks a worker that can run it: since one was last heard of, or since the turn wants to run: it was
-- accepted, it fell due, or what wakes it did. All of it stands in tables, so it is the same whoever owns the turn.
CREATE OR REPLACE FUNCTION lacks_build_since(p_turn uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT greatest(
    t.accepted_at,
    t.not_before,
    build_had_at(t.lane, t.workflow, t.version),
    (SELECT min(b.due_at) FROM inbox AS b
     WHERE b.turn_id = t.turn_id AND b.state = 'due' AND b.kind <> 'cancel' AND b.due_at <= now()))
  FROM turns AS t WHERE t.turn_id = p_turn
$$;

-- An owner lends turns ($8: to whom, NULL: it takes them back from $7), under its fence. One that changed meanwhile, or is
-- being written at this moment, is left as it is: nobody who holds a turn's row waits for another here. From the commit on
-- the borrower writes the turn, and nobody else but an owner that takes it back with the same write (flush).
CREATE OR REPLACE FUNCTION lend(
  p_worker uuid, p_lane text, p_partitions integer[], p_epochs bigint[],
  t_partition integer[], t_turn uuid[], t_from uuid[], t_to uuid[], t_seq integer[], t_as text[]
) RETURNS SETOF uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  held integer[];
  free uuid[];
BEGIN
  held := ARRAY(SELECT u.partition FROM unnest(p_partitions, fence(p_worker, p_lane, p_partitions, p_epochs)) AS u (partition, held)
                WHERE u.held);
  free := ARRAY(SELECT t.turn_id FROM turns AS t WHERE t.turn_id = ANY (t_turn) FOR UPDATE SKIP LOCKED);
  RETURN QUERY
  UPDATE turns AS t SET lent_to = u.new_borrower, lent_as = u.lent_as
  FROM unnest(t_partition, t_turn, t_from, t_to, t_seq, t_as) AS u (partition, turn, old_borrower, new_borrower, seq, lent_as)
  WHERE t.turn_id = u.turn AND t.turn_id = ANY (free) AND u.partition = ANY (held) AND NOT has_ended(t.status)
    AND CASE WHEN u.new_borrower IS NULL THEN t.lent_to = u.old_borrower
             ELSE t.seq = u.seq AND (t.lent_to IS NULL OR t.status <> 'running') END
  RETURNING t.turn_id;
END
$$;
