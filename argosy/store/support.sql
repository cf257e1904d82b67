-- name: server_version
-- Which server answers, and how large the database is.
SELECT version() AS version, pg_database_size(current_database()) AS size_bytes

-- name: read_only
-- What this session may do: it plans statements that write, and none may ever run.
SELECT set_config('default_transaction_read_only', 'on', false)

-- name: plan_generically
-- Plans of this session know no values, as those of a busy pool's sessions do not.
SELECT set_config('plan_cache_mode', 'force_generic_plan', false)

-- name: count_parameters
-- Of the statement whose plan is asked for.
SELECT cardinality(p.parameter_types) FROM pg_prepared_statements AS p WHERE p.name = 'explained'

-- name: list_sizes
-- Tables with their rows, as the planner believes them to be, their sizes, and when they were last vacuumed.
SELECT c.relname AS name, c.reltuples::bigint AS row_count, pg_total_relation_size(c.oid) AS size_bytes,
       s.n_dead_tup AS dead, greatest(s.last_vacuum, s.last_autovacuum)::text AS vacuumed_at
FROM pg_class AS c LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid
WHERE c.relnamespace = 'argosy'::regnamespace AND c.relkind = 'r'
ORDER BY size_bytes DESC

-- name: statistics_schema
-- The schema of pg_stat_statements; no row where it is not installed.
SELECT quote_ident(n.nspname) FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'

-- name: list_slowest
-- The statements of this database that took the most time. Their constants are replaced by the server; but those of
-- other commands (as a role's password) are not, so only queries and changes of rows are shown.
SELECT s.queryid, s.calls, round(s.total_exec_time) AS total_ms, round(s.mean_exec_time::numeric, 3) AS mean_ms,
       round(s.max_exec_time) AS max_ms, s.rows, left(s.query, 2000) AS query
FROM pg_stat_statements AS s
WHERE s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND s.query ~* '^(\s|--[^\n]*\n)*(SELECT|INSERT|UPDATE|DELETE|WITH)\s'
ORDER BY s.total_exec_time DESC LIMIT 100
