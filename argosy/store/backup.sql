-- A backup, and a restore. What a restore knows of itself is in a schema of its own, argosy_restore, which is there from its
-- first moment until its end.

-- name: keep_open
-- Of the transaction whose snapshot is dumped: nothing may end it.
SELECT set_config('idle_in_transaction_session_timeout', '0', true), set_config('statement_timeout', '0', true)

-- name: export_snapshot
-- The snapshot of this transaction, for whoever dumps; and what the manifest says of the database.
SELECT pg_export_snapshot(), lineage(), current_setting('server_version_num')::integer / 10000, now()

-- name: list_logs
-- Every log that was read, by lane, with its positions: read up to there.
SELECT p.lane, p.log_id, l.topic, array_agg(p.partition ORDER BY p.partition), array_agg(p.position ORDER BY p.partition)
FROM positions AS p LEFT JOIN lane_logs AS l ON l.lane = p.lane
GROUP BY p.lane, p.log_id, l.topic ORDER BY p.lane, p.log_id

-- name: list_graphs
-- The graphs that shards have.
SELECT tenant, graph, incarnation FROM graphs WHERE state = 'active' ORDER BY tenant, graph

-- name: find_installation
-- Whose keys they are, which restore its database comes from, and the time of this transaction. Not lineage(): another primary
-- after a failover has the same keys.
SELECT i.cluster_id::text, (SELECT l.restores FROM lineages AS l), now() FROM log_identity AS i

-- name: list_keys
-- The keys of all tenants, as they are wrapped; of those that were destroyed, when.
SELECT k.tenant, k.key_id, k.digest, k.master, k.wrapped, k.created_at, k.destroyed_at FROM tenant_keys AS k ORDER BY k.tenant, k.key_id

-- name: insert_backup
-- Remember a backup, for receipts of erasures.
INSERT INTO backups (backup_id, made_at, place, graphs, keys, sha256) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING

-- name: list_backups
-- The backups that nobody has said to be gone, the newest first.
SELECT backup_id, made_at, place, graphs, keys FROM backups WHERE gone_at IS NULL ORDER BY made_at DESC, backup_id LIMIT $1

-- name: note_gone
-- A backup is there no more: no receipt of an erasure names it from now on. Whether it was known.
WITH gone AS (UPDATE backups SET gone_at = coalesce(gone_at, now()) WHERE backup_id = $1 RETURNING backup_id),
named AS (DELETE FROM erasure_items WHERE place = 'backup ' || (SELECT backup_id FROM gone) AND count = 0)
SELECT EXISTS (SELECT 1 FROM gone)

-- name: try_lock
-- The lock under which one restore at a time works.
SELECT pg_try_advisory_lock($1)

-- name: find_restore
-- Whether there is a database of ours here, and whether a restore has begun.
SELECT to_regnamespace('argosy') IS NOT NULL, to_regclass('argosy_restore.progress') IS NOT NULL

-- name: read_progress
-- Which backup is restored, and whether the database has been loaded.
SELECT backup_id, is_loaded FROM argosy_restore.progress

-- name: begin_restore
-- What a restore knows of itself: its backup, and which shard of today gets which graph.
CREATE SCHEMA argosy_restore;
CREATE TABLE argosy_restore.progress (backup_id uuid NOT NULL, is_loaded boolean NOT NULL);
CREATE TABLE argosy_restore.member (member_id uuid PRIMARY KEY, endpoint text NOT NULL);
CREATE TABLE argosy_restore.graph (
  tenant text COLLATE "C", graph text COLLATE "C", incarnation uuid NOT NULL, shard uuid NOT NULL, PRIMARY KEY (tenant, graph)
);

-- name: insert_progress
-- Note which backup this restore is of.
INSERT INTO argosy_restore.progress VALUES ($1, false)

-- name: clear_places
-- Forget which shards get which graphs: they are placed anew.
TRUNCATE argosy_restore.member, argosy_restore.graph

-- name: insert_members
-- The shards of today.
INSERT INTO argosy_restore.member SELECT * FROM unnest($1::uuid[], $2::text[])

-- name: insert_graphs
-- Which of them gets which graph.
INSERT INTO argosy_restore.graph SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[])

-- name: make_keys
-- Where the keys of tenants wait that are to be there. A restore that an older version began has no such table.
CREATE TABLE IF NOT EXISTS argosy_restore.key (
  tenant text COLLATE "C", key_id integer, digest boolean NOT NULL, master text, wrapped bytea, created_at timestamptz NOT NULL,
  destroyed_at timestamptz, PRIMARY KEY (tenant, key_id)
);
TRUNCATE argosy_restore.key

-- name: insert_keys
-- These keys.
INSERT INTO argosy_restore.key
SELECT * FROM unnest($1::text[], $2::integer[], $3::boolean[], $4::text[], $5::bytea[], $6::timestamptz[], $7::timestamptz[])

-- name: settle_keys
-- In the transaction that loads the database: nobody makes a key before those of the backup are there, by whose numbers its
-- payloads call them. What the dump of an older version had, and these do not have any more, is destroyed. A backup of a version
-- that sealed nothing has no table for them.
DO $$
BEGIN
  IF to_regclass('argosy.tenant_keys') IS NOT NULL THEN
    UPDATE argosy.tenant_keys AS k SET wrapped = NULL, master = NULL, destroyed_at = now()
    WHERE k.wrapped IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM argosy_restore.key AS r WHERE r.tenant = k.tenant AND r.key_id = k.key_id AND r.wrapped IS NOT NULL);
    INSERT INTO argosy.tenant_keys (tenant, key_id, digest, master, wrapped, created_at, destroyed_at)
    SELECT r.tenant, r.key_id, r.digest, r.master, r.wrapped, r.created_at, r.destroyed_at FROM argosy_restore.key AS r
    ORDER BY r.tenant, r.key_id
    ON CONFLICT (tenant, key_id) DO UPDATE SET master = excluded.master, wrapped = excluded.wrapped
    WHERE tenant_keys.wrapped IS NOT NULL AND excluded.wrapped IS NOT NULL;
  END IF;
END
$$;

-- name: settle_restored
-- In the transaction that loads the database, behind raise_restores: so nobody ever sees it as it was. The shards are
-- those of today, which have nothing yet. Each graph is in a generation that no shard of before has seen: whoever still
-- asks those, or sends them a late call, means another one. A lineage has 31 bits, and 22 behind it are below 2^53, which
-- clients in JavaScript can count; a graph that was in a greater one when it was backed up stays above that.
-- Graphs that were on their way to be made are made when somebody asks for them; those that were to be dropped, or to be
-- restored, are gone with their shards, as is one that was dropped before its turn to be backed up came.
DELETE FROM argosy.graph_moves;
DELETE FROM argosy.shard_plans;
UPDATE argosy.shards SET endpoint = member_id::text;
INSERT INTO argosy.shards (member_id, endpoint) SELECT member_id, endpoint FROM argosy_restore.member;
UPDATE argosy.graphs AS g
SET shard = r.shard, state = 'restoring',
  generation = argosy.lineage() << CASE WHEN g.generation < 9007199254740992 THEN 22 ELSE 31 END | 1
FROM argosy_restore.graph AS r
WHERE g.tenant = r.tenant AND g.graph = r.graph AND g.incarnation = r.incarnation AND g.state = 'active';
UPDATE argosy.graphs
SET shard = (SELECT min(member_id::text)::uuid FROM argosy_restore.member),
  generation = argosy.lineage() << CASE WHEN generation < 9007199254740992 THEN 22 ELSE 31 END | 1
WHERE state = 'creating' AND EXISTS (SELECT 1 FROM argosy_restore.member);
DELETE FROM argosy.graphs WHERE shard NOT IN (SELECT member_id FROM argosy_restore.member);
DELETE FROM argosy.shards WHERE member_id NOT IN (SELECT member_id FROM argosy_restore.member);
UPDATE argosy_restore.progress SET is_loaded = true;

-- name: revoke_loaded
-- In the same transaction: what is loaded has forgotten which tokens were revoked since it was backed up, so all of them end,
-- before anybody can use one. A backup of a version that knew no tokens has none.
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_proc WHERE pronamespace = 'argosy'::regnamespace AND proname = 'revoke_all_tokens') THEN
    PERFORM argosy.revoke_all_tokens(
      ('local', 'restore', NULL, NULL, 'tokens.revoke_all', '', 'done', 'the database was restored from a backup', '', '')::argosy.act);
  END IF;
END
$$;

-- name: list_left
-- The graphs that are still to come.
SELECT g.tenant, g.graph, g.incarnation, g.generation, g.shard, s.endpoint
FROM argosy_restore.graph AS r
JOIN graphs AS g ON g.tenant = r.tenant AND g.graph = r.graph AND g.incarnation = r.incarnation AND g.state = 'restoring'
JOIN shards AS s ON s.member_id = g.shard
ORDER BY g.tenant, g.graph

-- name: note_restored
-- Its shard has it.
UPDATE graphs SET state = 'active' WHERE tenant = $1 AND graph = $2 AND incarnation = $3 AND state = 'restoring'

-- name: finish_restore
-- The restore is over: what it knew of itself goes.
DROP SCHEMA argosy_restore CASCADE
