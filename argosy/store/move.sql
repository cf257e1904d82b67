-- name: list_due
-- Open moves whose time has come, those first whose graphs take no writes meanwhile; sealed_s: for how long they do not.
SELECT move_id, plan_id, tenant, graph, incarnation, source, target, generation, state, base_sha256, reason, tries,
       size_bytes, copied_bytes, planned_at, ended_at, stalled_s, extract(epoch FROM clock_timestamp() - sealed_at)::double precision AS sealed_s
FROM graph_moves WHERE ended_at IS NULL AND not_before <= now() AND move_id <> ALL ($1::uuid[])
ORDER BY state IN ('sealed', 'landed', 'retired', 'switched', 'aborting') DESC, state = 'planned', not_before, move_id LIMIT $2

-- name: find_move
-- One move as it is now.
SELECT move_id, plan_id, tenant, graph, incarnation, source, target, generation, state, base_sha256, reason, tries,
       size_bytes, copied_bytes, planned_at, ended_at, stalled_s, extract(epoch FROM clock_timestamp() - sealed_at)::double precision AS sealed_s
FROM graph_moves WHERE move_id = $1

-- name: list_moves
-- Open moves, the oldest first, and then those that ended last; $1 of each at the most.
(SELECT move_id, plan_id, tenant, graph, incarnation, source, target, generation, state, base_sha256, reason, tries,
        size_bytes, copied_bytes, planned_at, ended_at, stalled_s, extract(epoch FROM clock_timestamp() - sealed_at)::double precision AS sealed_s
 FROM graph_moves WHERE ended_at IS NULL ORDER BY planned_at, move_id LIMIT $1)
UNION ALL
(SELECT move_id, plan_id, tenant, graph, incarnation, source, target, generation, state, base_sha256, reason, tries,
        size_bytes, copied_bytes, planned_at, ended_at, stalled_s, NULL::double precision AS sealed_s
 FROM graph_moves WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, move_id DESC LIMIT $1)

-- name: list_dirty
-- Moves that were given up while their target was away, and is to be rid of a part of a copy.
SELECT move_id, plan_id, tenant, graph, incarnation, source, target, generation, state, base_sha256, reason, tries,
       size_bytes, copied_bytes, planned_at, ended_at, stalled_s, NULL::double precision AS sealed_s
FROM graph_moves WHERE is_target_dirty AND not_before <= now() ORDER BY not_before, move_id LIMIT $1

-- name: count_open
-- How many moves are open, by their state, and for how long the one has been sealed that is longest.
SELECT state, count(*) AS moves, extract(epoch FROM clock_timestamp() - min(sealed_at))::double precision AS sealed_s
FROM graph_moves WHERE ended_at IS NULL GROUP BY state

-- name: count_between
-- How many moves are open from one shard to another, and what one of them waits for, or was put off for.
SELECT source, target, count(*) AS moves, max(reason) AS waits_for FROM graph_moves WHERE ended_at IS NULL GROUP BY source, target

-- name: list_plans
-- Plans that are open, with how many of their moves are.
SELECT p.plan_id, p.kind, p.shard, p.state, p.after_tenant, p.after_graph, p.planned, p.blocked, p.asked_at,
       (SELECT count(*) FROM graph_moves AS m WHERE m.plan_id = p.plan_id AND m.ended_at IS NULL) AS moves
FROM shard_plans AS p WHERE p.ended_at IS NULL ORDER BY p.asked_at, p.plan_id

-- name: list_due_plans
-- Plans that have graphs to look at.
SELECT p.plan_id, p.kind, p.shard, p.state, p.after_tenant, p.after_graph, p.planned, p.blocked, p.asked_at, 0 AS moves
FROM shard_plans AS p WHERE p.ended_at IS NULL AND p.state = 'planning' AND p.not_before <= now() ORDER BY p.asked_at, p.plan_id

-- name: list_placed
-- Active graphs after a name, in the order of names; $3: of this shard only.
SELECT g.tenant, g.graph, g.incarnation, g.shard, g.generation FROM graphs AS g
WHERE (g.tenant, g.graph) > ($1, $2) AND g.state = 'active' AND ($3::uuid IS NULL OR g.shard = $3)
ORDER BY g.tenant, g.graph LIMIT $4

-- name: plan_moves
-- Plans moves of a page of graphs; how many (functions/move.sql, as all of the following).
SELECT plan_moves($1, $2, $3, $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::uuid[], $9::uuid[], $10::bigint[], $11, $12, $13)

-- name: block_plan
-- Why nothing can be planned now.
SELECT block_plan($1, $2, $3, $4, $5)

-- name: settle_plans
-- Ends plans whose moves have ended; how many it changed.
SELECT settle_plans($1, $2, $3)

-- name: note_copied
-- Whether a copy is still wanted.
SELECT note_copied($1, $2, $3, $4, $5)

-- name: step_move
-- Whether a move came from one state to the next.
SELECT step_move($1, $2, $3, $4, $5, $6, $7)

-- name: switch_move
-- Whether the target has the graph from here on.
SELECT switch_move($1, $2, $3)

-- name: abort_move
-- Whether the source has the graph for good.
SELECT abort_move($1, $2, $3, $4, $5, $6)

-- name: forgo_move
-- Whether a move ended of which nothing was begun.
SELECT forgo_move($1, $2, $3, $4)

-- name: put_off_move
-- Lets a move wait.
SELECT put_off_move($1, $2, $3, $4, $5)

-- name: note_clean
-- Whether the target of a move that was given up has a part of a copy still.
SELECT note_clean($1, $2, $3, $4, $5)

-- name: purge_moves
-- Forgets what ended long ago; how many.
SELECT purge_moves($1, $2, $3, $4)
