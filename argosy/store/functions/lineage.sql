-- Grows whenever history may have forked. 31 bits: 22 for the restore, the rest for the server's timeline; a timeline
-- beyond 511 runs over into the restore: it still only grows. See migrations/0008_restores.sql.
CREATE OR REPLACE FUNCTION lineage() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (restores::bigint << 9) + ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
  FROM lineages
$$;
