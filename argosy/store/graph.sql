-- name: list_shards
-- The members.
SELECT member_id, endpoint, state, added_at FROM shards ORDER BY added_at, member_id

-- name: count_graphs
-- The members with how many graphs the directory has of each.
SELECT s.member_id, s.endpoint, s.state, s.added_at, (SELECT count(*) FROM graphs AS g WHERE g.shard = s.member_id) AS graphs
FROM shards AS s ORDER BY s.added_at, s.member_id

-- name: seed_shards
-- The first members, when there are none, and whether these are they. Processes that start at once come one after the
-- other (functions/graph.sql).
SELECT seed_shards($1::uuid[], $2::text[])

-- name: move_shard
-- A member that answers at another endpoint now, which is no other member's.
UPDATE shards SET endpoint = $2 WHERE member_id = $1 AND NOT EXISTS (SELECT 1 FROM shards WHERE endpoint = $2)

-- name: find_graph
-- One graph, whatever its state; is_moving: its shards may refuse it for moments, since it is on its way between them.
SELECT g.tenant, g.graph, g.incarnation, g.shard, g.generation, g.state, g.session_id, g.expires_at, g.created_at,
       g.sealed_as,
       EXISTS (SELECT 1 FROM graph_moves AS m
               WHERE m.tenant = g.tenant AND m.graph = g.graph AND m.incarnation = g.incarnation AND m.ended_at IS NULL
                 AND m.state NOT IN ('planned', 'activated')) AS is_moving
FROM graphs AS g WHERE g.tenant = $1 AND g.graph = $2

-- name: list_orphaned
-- Those of some graphs that a shard ($5) has which nobody asks for there, with where they are: lives that have no row
-- (NULL), and lives that are on another shard in a later generation. Not what a move has yet to drop there.
SELECT asked.number, g.shard
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) WITH ORDINALITY AS asked (tenant, graph, incarnation, generation, number)
LEFT JOIN graphs AS g ON g.tenant = asked.tenant AND g.graph = asked.graph AND g.incarnation = asked.incarnation
WHERE (g.shard IS NULL OR g.shard <> $5::uuid AND asked.generation < g.generation)
  AND NOT EXISTS (
    SELECT 1 FROM graph_moves AS m
    WHERE m.tenant = asked.tenant AND m.graph = asked.graph AND m.incarnation = asked.incarnation
      AND m.source = $5::uuid AND m.ended_at IS NULL)
ORDER BY asked.number

-- name: list_left
-- What moves of earlier lives of a name have yet to drop at the shard of its row ($3: the life). A name has one row: as long
-- as this life has it, every other one is over.
SELECT m.tenant, m.graph, m.incarnation, m.generation
FROM graphs AS g JOIN graph_moves AS m ON m.tenant = g.tenant AND m.graph = g.graph
WHERE g.tenant = $1 AND g.graph = $2 AND g.incarnation = $3
  AND m.ended_at IS NULL AND m.incarnation <> g.incarnation AND m.source = g.shard

-- name: list_graphs
-- A tenant's graphs after a name, in the order of names, but for those that are being dropped.
SELECT tenant, graph, incarnation, shard, generation, state, session_id, expires_at, created_at, sealed_as
FROM graphs WHERE tenant = $1 AND graph > $2 AND state <> 'dropping' ORDER BY graph LIMIT $3

-- name: add_graph
-- A new graph's row, unless the name has one. Of a member that went, or gets no new graphs, nothing is written.
INSERT INTO graphs (tenant, graph, incarnation, shard, state, session_id, expires_at, sealed_as)
SELECT $1, $2, $3, s.member_id, $5, $6, now() + make_interval(secs => $7::double precision), $8
FROM shards AS s WHERE s.member_id = $4 AND s.state = 'active' FOR KEY SHARE
ON CONFLICT DO NOTHING
RETURNING tenant, graph, incarnation, shard, generation, state, session_id, expires_at, created_at, sealed_as

-- name: activate_graph
-- Its shard has it now. What a copy was given to be restored within ends with that.
UPDATE graphs SET state = 'active', expires_at = CASE WHEN state <> 'restoring' THEN expires_at END
WHERE tenant = $1 AND graph = $2 AND incarnation = $3 AND state <> 'dropping'
RETURNING tenant, graph, incarnation, shard, generation, state, session_id, expires_at, created_at, sealed_as

-- name: extend_graph
-- A life that begins anew, once more than a tenth of it is over: few of those who use a graph write its row. The own graph
-- of a session ($4) is the session's from now on, whoever made it, and lives for as long as such graphs do.
UPDATE graphs SET session_id = coalesce($4::uuid, session_id), expires_at = now() + make_interval(secs => $5::double precision)
WHERE tenant = $1 AND graph = $2 AND incarnation = $3 AND state <> 'dropping'
  AND (expires_at < now() + make_interval(secs => 0.9 * $5::double precision)
    OR $4::uuid IS NOT NULL AND (session_id IS DISTINCT FROM $4::uuid OR (expires_at IS NULL) <> ($5::double precision IS NULL)))
RETURNING tenant, graph, incarnation, shard, generation, state, session_id, expires_at, created_at, sealed_as

-- name: mark_dropped
-- From here on nobody finds it. $3: this life only.
UPDATE graphs SET state = 'dropping' WHERE tenant = $1 AND graph = $2 AND ($3::uuid IS NULL OR incarnation = $3::uuid)
RETURNING tenant, graph, incarnation, shard, generation, state, session_id, expires_at, created_at, sealed_as

-- name: delete_graph
-- Its shard has it no more.
DELETE FROM graphs WHERE tenant = $1 AND graph = $2 AND incarnation = $3 AND state = 'dropping'

-- name: expire_graphs
-- Marks graphs whose time is over as dropped, $3 at the most; how many (functions/graph.sql).
SELECT expire_graphs($1::text, $2::bigint, $3::integer)

-- name: list_dropped
-- Graphs to be dropped at their shards, after an incarnation, in their order.
SELECT tenant, graph, incarnation, shard, generation, state, session_id, expires_at, created_at, sealed_as
FROM graphs WHERE state = 'dropping' AND incarnation > $1 ORDER BY incarnation LIMIT $2
