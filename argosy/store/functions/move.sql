-- Moves of graphs between shards. The rules, on which all of these rest:
-- - A move goes planned -> copying -> sealed -> landed -> retired -> switched -> activated -> done; and from any state
--   before `switched` to aborting -> aborted. Each step is first taken at the shards, where it may be taken again, and
--   then written here by a compare-and-set under the leader's term: a leader that was deposed writes nothing.
-- - Until `switched` the source has the graph, from there on the target has it: the graph's row and the move's change in
--   one transaction (switch_move). Only then is the target ever asked to serve the graph.
-- - The move has the generation that the graph had before. The target serves it in the next one. A move that is given up
--   reopens the source in the next one, too. So whatever a leader of before still sends, for the generation of before, is
--   refused by both shards once the move has ended, either way.

-- A new member; what came of it: added, known (it is one already, wherever it answers), or taken (another member answers
-- at this endpoint).
CREATE OR REPLACE FUNCTION add_shard(p_member uuid, p_endpoint text) RETURNS text
LANGUAGE plpgsql VOLATILE SET lock_timeout = '5s' AS $$
BEGIN
  INSERT INTO shards (member_id, endpoint) VALUES (p_member, p_endpoint) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    RETURN 'added';
  END IF;
  RETURN CASE WHEN EXISTS (SELECT 1 FROM shards WHERE member_id = p_member) THEN 'known' ELSE 'taken' END;
END
$$;

-- Whether another member takes new graphs. The rows of members are held, so that two drains do not count on each other.
CREATE OR REPLACE FUNCTION has_other_shard(p_member uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM 1 FROM shards ORDER BY member_id FOR UPDATE;
  RETURN EXISTS (SELECT 1 FROM shards WHERE member_id <> p_member AND state = 'active');
END
$$;

-- A plan that is asked for begins from the first graph, also when it was asked for before and has not ended.
CREATE OR REPLACE FUNCTION ask_plan(p_plan uuid, p_kind text, p_shard uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET lock_timeout = '5s' AS $$
DECLARE
  asked uuid;
BEGIN
  INSERT INTO shard_plans AS p (plan_id, kind, shard) VALUES (p_plan, p_kind, p_shard)
  ON CONFLICT (kind, coalesce(shard, '00000000-0000-0000-0000-000000000000'::uuid)) WHERE ended_at IS NULL
  DO UPDATE SET state = 'planning', after_tenant = '', after_graph = '', not_before = now()
  RETURNING p.plan_id INTO asked;
  RETURN asked;
END
$$;

-- From here on the member gets no new graphs, and its graphs are to move: the plan. NULL: there is no such member, or no
-- other one takes graphs.
CREATE OR REPLACE FUNCTION drain_shard(p_member uuid, p_plan uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET lock_timeout = '5s' AS $$
BEGIN
  IF NOT has_other_shard(p_member) THEN
    RETURN NULL;
  END IF;
  UPDATE shards SET state = 'draining' WHERE member_id = p_member;
  RETURN CASE WHEN FOUND THEN ask_plan(p_plan, 'drain', p_member) END;
END
$$;

-- Ends a plan, and those of its moves of which nothing was begun; what is under way gives up where it still can. How many
-- moves that concerns. Needs no term: it changes the state of a move only as its leader could, by a compare-and-set.
CREATE OR REPLACE FUNCTION cancel_moves(p_id uuid) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '5s' AS $$
DECLARE
  cancelled integer;
BEGIN
  UPDATE shard_plans SET state = 'cancelled', ended_at = now() WHERE plan_id = p_id AND ended_at IS NULL;
  UPDATE graph_moves SET
    state = CASE WHEN state = 'planned' THEN 'aborted' ELSE 'aborting' END,
    ended_at = CASE WHEN state = 'planned' THEN now() END,
    reason = 'cancelled', changed_at = now(), not_before = now()
  WHERE move_id = ANY (ARRAY(
      SELECT m.move_id FROM graph_moves AS m WHERE (m.plan_id = p_id OR m.move_id = p_id) AND m.ended_at IS NULL
      ORDER BY m.move_id FOR UPDATE))
    AND state IN ('planned', 'copying');
  GET DIAGNOSTICS cancelled = ROW_COUNT;
  RETURN cancelled;
END
$$;

-- The member takes new graphs again, and keeps those that it still has; whether there is such a member.
CREATE OR REPLACE FUNCTION undrain_shard(p_member uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '5s' AS $$
BEGIN
  UPDATE shards SET state = 'active' WHERE member_id = p_member;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM cancel_moves(plan_id) FROM shard_plans WHERE kind = 'drain' AND shard = p_member AND ended_at IS NULL;
  RETURN true;
END
$$;

-- Takes a member out that has nothing any more; what came of it, with how many graphs and open moves name it: removed,
-- holds (it has some), last (no other one takes graphs), unknown. A move that waits for nothing but that this source drops
-- what another shard serves by now is done with it: the source may be gone for good. Its row is held against whoever adds a graph or plans a
-- move meanwhile: they hold it, too, so they come before this, and are counted, or after it, and find no such member.
CREATE OR REPLACE FUNCTION remove_shard(p_member uuid, OUT outcome text, OUT graph_count bigint, OUT move_count bigint)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '5s' AS $$
DECLARE
  has_other boolean := has_other_shard(p_member);
BEGIN
  graph_count := (SELECT count(*) FROM graphs WHERE shard = p_member);
  move_count := (
    SELECT count(*) FROM graph_moves
    WHERE p_member IN (source, target) AND ended_at IS NULL AND NOT (source = p_member AND state = 'activated' AND reason <> ''));
  IF NOT EXISTS (SELECT 1 FROM shards WHERE member_id = p_member) THEN
    outcome := 'unknown';
  ELSIF graph_count + move_count > 0 THEN
    outcome := 'holds';
  ELSIF NOT has_other THEN
    outcome := 'last';
  ELSE
    UPDATE shard_plans SET state = 'done', ended_at = now() WHERE shard = p_member AND ended_at IS NULL;
    UPDATE graph_moves SET state = 'done', ended_at = now(), changed_at = now() WHERE source = p_member AND state = 'activated';
    UPDATE graph_moves SET is_target_dirty = false WHERE is_target_dirty AND target = p_member;
    DELETE FROM shards WHERE member_id = p_member;
    outcome := 'removed';
  END IF;
END
$$;

-- Plans the move of one graph; what came of it: planned, unknown (no such graph, or not active), here (it is there
-- already), moving (another move of it is open), shut (there is no such member, or it takes no graphs).
CREATE OR REPLACE FUNCTION move_graph(p_move uuid, p_tenant text, p_graph text, p_target uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SET lock_timeout = '5s' AS $$
DECLARE
  held record;
BEGIN
  PERFORM 1 FROM shards WHERE member_id = p_target AND state = 'active' FOR SHARE;
  IF NOT FOUND THEN
    RETURN 'shut';
  END IF;
  SELECT * INTO held FROM graphs WHERE tenant = p_tenant AND graph = p_graph AND state = 'active';
  IF held.shard IS NULL THEN
    RETURN 'unknown';
  ELSIF held.shard = p_target THEN
    RETURN 'here';
  END IF;
  INSERT INTO graph_moves (move_id, tenant, graph, incarnation, source, target, generation)
  VALUES (p_move, p_tenant, p_graph, held.incarnation, held.shard, p_target, held.generation) ON CONFLICT DO NOTHING;
  RETURN CASE WHEN FOUND THEN 'planned' ELSE 'moving' END;
END
$$;

-- Plans moves of a page of graphs, and notes up to where a plan has looked; how many were planned. A graph that was
-- changed since it was looked at, moves already or has no right to move gets none, nor does any when the plan has ended. Of
-- a leader that was deposed nothing is written. Members are held until the commit: none of them is removed meanwhile.
CREATE OR REPLACE FUNCTION plan_moves(
  p_role text, p_term bigint, p_plan uuid, p_moves uuid[], p_tenants text[], p_graphs text[], p_incarnations uuid[],
  p_sources uuid[], p_targets uuid[], p_generations bigint[], p_after_tenant text, p_after_graph text, p_is_last boolean
) RETURNS integer LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  planned_now integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  PERFORM 1 FROM shards WHERE member_id = ANY (p_sources || p_targets) ORDER BY member_id FOR SHARE;
  PERFORM 1 FROM shard_plans WHERE plan_id = p_plan AND state = 'planning' FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  INSERT INTO graph_moves (move_id, plan_id, tenant, graph, incarnation, source, target, generation)
  SELECT n.move, p_plan, g.tenant, g.graph, g.incarnation, g.shard, t.member_id, g.generation
  FROM unnest(p_moves, p_tenants, p_graphs, p_incarnations, p_sources, p_targets, p_generations)
    AS n (move, tenant, graph, incarnation, source, target, generation)
  JOIN graphs AS g ON g.tenant = n.tenant AND g.graph = n.graph AND g.incarnation = n.incarnation
    AND g.shard = n.source AND g.generation = n.generation AND g.state = 'active'
  JOIN shards AS t ON t.member_id = n.target AND t.state = 'active'
  ORDER BY g.tenant, g.graph
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS planned_now = ROW_COUNT;
  UPDATE shard_plans SET after_tenant = p_after_tenant, after_graph = p_after_graph, planned = planned + planned_now,
    blocked = '', state = CASE WHEN p_is_last THEN 'moving' ELSE state END
  WHERE plan_id = p_plan;
  RETURN planned_now;
END
$$;

-- Nothing can be planned now, and why; the plan is looked at again after p_after_s. Of a deposed leader nothing is written.
CREATE OR REPLACE FUNCTION block_plan(p_role text, p_term bigint, p_plan uuid, p_blocked text, p_after_s double precision) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE shard_plans SET blocked = p_blocked, not_before = now() + make_interval(secs => p_after_s)
  WHERE plan_id = p_plan AND state = 'planning';
END
$$;

-- Ends the plans whose moves have all ended; how many. A drain whose shard has graphs still (moves were given up, or a graph
-- was being made when it began), or gets some (it was on its way when that began), looks from the first one again, after
-- p_after_s. Of a deposed leader nothing is written.
CREATE OR REPLACE FUNCTION settle_plans(p_role text, p_term bigint, p_after_s double precision) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  ended integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  WITH settled AS (
    SELECT p.plan_id, p.kind = 'drain' AND (
        EXISTS (SELECT 1 FROM graphs AS g WHERE g.shard = p.shard)
        OR EXISTS (SELECT 1 FROM graph_moves AS m WHERE m.target = p.shard AND m.ended_at IS NULL)) AS has_graphs
    FROM shard_plans AS p
    WHERE p.state = 'moving' AND NOT EXISTS (SELECT 1 FROM graph_moves AS m WHERE m.plan_id = p.plan_id AND m.ended_at IS NULL)
    ORDER BY p.plan_id FOR UPDATE OF p)
  UPDATE shard_plans AS p SET
    state = CASE WHEN s.has_graphs THEN 'planning' ELSE 'done' END,
    ended_at = CASE WHEN NOT s.has_graphs THEN now() END,
    after_tenant = '', after_graph = '', not_before = now() + make_interval(secs => p_after_s)
  FROM settled AS s WHERE p.plan_id = s.plan_id;
  GET DIAGNOSTICS ended = ROW_COUNT;
  RETURN ended;
END
$$;

-- Notes how much of a copy is at the target; whether it is still wanted: not, once the move was cancelled. Of a leader that
-- was deposed nothing is written, and it hears so: what it goes on copying has no use.
CREATE OR REPLACE FUNCTION note_copied(p_role text, p_term bigint, p_move uuid, p_copied bigint, p_size bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE graph_moves SET copied_bytes = p_copied, size_bytes = p_size WHERE move_id = p_move AND state = 'copying';
  RETURN FOUND;
END
$$;

-- The move comes from one state to the next one; whether it did. A step that comes late finds another state, or another
-- term, and changes nothing. The states that change where the graph is have functions of their own.
CREATE OR REPLACE FUNCTION step_move(p_role text, p_term bigint, p_move uuid, p_from text, p_to text, p_reason text, p_base bytea)
RETURNS boolean LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  IF p_to NOT IN ('copying', 'sealed', 'landed', 'retired', 'activated', 'aborting', 'done')
     OR (p_to = 'aborting' AND p_from IN ('switched', 'activated')) THEN
    RAISE EXCEPTION 'no step of a move leads from % to %', p_from, p_to;
  END IF;
  UPDATE graph_moves SET
    state = p_to, changed_at = now(), not_before = now(), reason = p_reason,
    sealed_at = CASE WHEN p_to = 'sealed' THEN now() ELSE sealed_at END,
    base_sha256 = CASE WHEN p_to = 'sealed' THEN p_base ELSE base_sha256 END,
    stalled_s = CASE WHEN p_to = 'activated' THEN extract(epoch FROM clock_timestamp() - sealed_at) ELSE stalled_s END,
    ended_at = CASE WHEN p_to = 'done' THEN now() END
  WHERE move_id = p_move AND state = p_from;
  RETURN FOUND;
END
$$;

-- The graph is the target's from here on, in the next generation: its row and the move's, both or none; whether they are.
-- False: the graph was dropped, or is not as the move knows it, or the move was given up. Asked again after it was done, it
-- says so. The one place where a graph's shard changes: under the term, and by a compare of all that the move was planned
-- by, so that neither a deposed leader nor a move of before can do it.
CREATE OR REPLACE FUNCTION switch_move(p_role text, p_term bigint, p_move uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  moving record;
BEGIN
  PERFORM hold_term(p_role, p_term);
  SELECT * INTO moving FROM graph_moves WHERE move_id = p_move;
  IF moving.state = 'switched' THEN
    RETURN true;
  END IF;
  UPDATE graphs SET shard = moving.target, generation = moving.generation + 1
  WHERE tenant = moving.tenant AND graph = moving.graph AND incarnation = moving.incarnation
    AND shard = moving.source AND generation = moving.generation AND state = 'active' AND moving.state = 'retired';
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE graph_moves SET state = 'switched', changed_at = now(), not_before = now() WHERE move_id = p_move AND state = 'retired';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'move % changed while it was switched', p_move USING ERRCODE = 'serialization_failure';
  END IF;
  RETURN true;
END
$$;

-- The move is given up: the source has the graph in the next generation, also one that is being dropped, whose drop has to
-- name that. A graph that is gone, or another life of its name, stays as it is. Whether the move has ended so; of a deposed
-- leader nothing is written. p_again_s: then the same move is planned anew, unless its plan has ended; NULL: it is not.
CREATE OR REPLACE FUNCTION abort_move(
  p_role text, p_term bigint, p_move uuid, p_is_target_dirty boolean, p_again uuid, p_again_s double precision
) RETURNS boolean LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  moving record;
  is_there boolean;
  why text;
BEGIN
  PERFORM hold_term(p_role, p_term);
  SELECT * INTO moving FROM graph_moves WHERE move_id = p_move;
  IF moving.state IS DISTINCT FROM 'aborting' THEN
    RETURN coalesce(moving.state = 'aborted', false);
  END IF;
  why := split_part(moving.reason, '; waits: ', 1);
  UPDATE graphs SET generation = moving.generation + 1
  WHERE tenant = moving.tenant AND graph = moving.graph AND incarnation = moving.incarnation
    AND shard = moving.source AND generation = moving.generation;
  is_there := FOUND;
  PERFORM 1 FROM shard_plans WHERE plan_id = moving.plan_id AND ended_at IS NULL FOR KEY SHARE;
  is_there := is_there AND (FOUND OR moving.plan_id IS NULL);
  UPDATE graph_moves SET
    state = 'aborted', ended_at = now(), changed_at = now(), is_target_dirty = p_is_target_dirty, reason = why,
    stalled_s = extract(epoch FROM clock_timestamp() - sealed_at)
  WHERE move_id = p_move AND state = 'aborting';
  INSERT INTO graph_moves (move_id, plan_id, tenant, graph, incarnation, source, target, generation, reason, tries, not_before)
  SELECT p_again, moving.plan_id, moving.tenant, moving.graph, moving.incarnation, moving.source, moving.target,
         moving.generation + 1, why, moving.tries + 1, now() + make_interval(secs => p_again_s)
  WHERE is_there AND p_again_s IS NOT NULL;
  RETURN true;
END
$$;

-- Nothing was begun, and nothing will be: of a move that is only planned. Whether it has ended so.
CREATE OR REPLACE FUNCTION forgo_move(p_role text, p_term bigint, p_move uuid, p_reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE graph_moves SET state = 'aborted', ended_at = now(), changed_at = now(), reason = p_reason
  WHERE move_id = p_move AND state = 'planned';
  RETURN FOUND;
END
$$;

-- The move waits for so long, and why; what cannot be given up waits as often as it has to. One that is given up has that
-- behind the reason for which it is.
CREATE OR REPLACE FUNCTION put_off_move(p_role text, p_term bigint, p_move uuid, p_after_s double precision, p_reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE graph_moves SET not_before = now() + make_interval(secs => p_after_s), tries = tries + (state = 'planned')::integer,
    reason = CASE WHEN state = 'aborting' THEN split_part(reason, '; waits: ', 1) || '; waits: ' || p_reason ELSE p_reason END
  WHERE move_id = p_move AND ended_at IS NULL;
END
$$;

-- The target of a move that was given up has no part of its copy any more, or is looked at again after p_after_s.
CREATE OR REPLACE FUNCTION note_clean(p_role text, p_term bigint, p_move uuid, p_is_clean boolean, p_after_s double precision) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM hold_term(p_role, p_term);
  UPDATE graph_moves SET is_target_dirty = NOT p_is_clean, not_before = now() + make_interval(secs => p_after_s)
  WHERE move_id = p_move AND is_target_dirty;
END
$$;

-- Forgets moves and plans that ended p_age_s ago, p_limit of each at the most; how many.
CREATE OR REPLACE FUNCTION purge_moves(p_role text, p_term bigint, p_age_s double precision, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' SET enable_seqscan = off AS $$
DECLARE
  purged integer;
BEGIN
  PERFORM hold_term(p_role, p_term);
  WITH plans AS (
    DELETE FROM shard_plans WHERE ctid = ANY (ARRAY(
      SELECT p.ctid FROM shard_plans AS p WHERE p.ended_at < now() - make_interval(secs => p_age_s) LIMIT p_limit))
    RETURNING 1),
  moves AS (
    DELETE FROM graph_moves WHERE ctid = ANY (ARRAY(
      SELECT m.ctid FROM graph_moves AS m
      WHERE m.ended_at < now() - make_interval(secs => p_age_s) AND NOT m.is_target_dirty ORDER BY m.ended_at LIMIT p_limit))
    RETURNING 1)
  SELECT (SELECT count(*) FROM plans) + (SELECT count(*) FROM moves) INTO purged;
  RETURN purged;
END
$$;
