-- name: add_shard
-- A new member, and what came of it (functions/move.sql, as all of the following).
SELECT add_shard($1, $2)

-- name: drain_shard
-- The plan by which a member is emptied.
SELECT drain_shard($1, $2)

-- name: undrain_shard
-- Whether there is such a member, which takes graphs again.
SELECT undrain_shard($1)

-- name: remove_shard
-- Takes out a member that has nothing.
SELECT outcome, graph_count, move_count FROM remove_shard($1)

-- name: ask_rebalance
-- The plan by which graphs come to where they belong.
SELECT ask_plan($1, 'rebalance', NULL)

-- name: move_graph
-- Plans one move, and says what came of it.
SELECT move_graph($1, $2, $3, $4)

-- name: cancel_moves
-- Ends a plan, or one move.
SELECT cancel_moves($1)

-- name: is_known
-- Whether there is an open plan, or an open move, of this id.
SELECT EXISTS (SELECT 1 FROM shard_plans WHERE plan_id = $1 AND ended_at IS NULL)
  OR EXISTS (SELECT 1 FROM graph_moves WHERE move_id = $1 AND ended_at IS NULL)
