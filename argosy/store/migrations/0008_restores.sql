-- The same backup may be restored more than once: a counter that comes back with it would give the same lineage twice,
-- and ids of events that a client has seen would come again with other contents. So `restores` follows the clock: two
-- minutes each since 2026 (migration.sql, raise_restores), and never falls behind what the database has.
--
-- A lineage is the upper half of an epoch, 31 bits: 22 for the restore (until 2041 by the clock, then one by one), the
-- rest for the server's timeline. A timeline beyond 511 runs over into the restore: it still only grows.
ALTER TABLE lineages DROP CONSTRAINT lineages_restores_check;
UPDATE lineages SET restores = restores * 2048; -- as many bits as it is shifted less
ALTER TABLE lineages ADD CONSTRAINT lineages_restores_check CHECK (restores BETWEEN 0 AND 4194303);

CREATE OR REPLACE FUNCTION lineage() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (restores::bigint << 9) + ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
  FROM lineages
$$;
