"""Defaults that a DBA or a hosting platform sets for a database: each is one that some statement cannot bear, or reads
differently.
"""

import asyncpg

FOREIGN = {
    "search_path": "pg_catalog",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "300ms",
    "lock_timeout": "50ms",
    "idle_session_timeout": "2s",
    "idle_in_transaction_session_timeout": "10ms",
    "client_connection_check_interval": "0",
    "exit_on_error": "on",
    "row_security": "on",
    "default_table_access_method": "heap",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kolkata",
    "client_min_messages": "debug5",
    "client_encoding": "LATIN1",
    "jit": "on",
    "jit_above_cost": "0",
    "max_parallel_workers_per_gather": "8",
    "work_mem": "64kB",
    "enable_seqscan": "on",
    "enable_bitmapscan": "on",
    "enable_sort": "on",
    "enable_indexscan": "off",
    "enable_indexonlyscan": "off",
    "enable_tidscan": "off",
    "enable_nestloop": "off",
    "enable_material": "off",
    "enable_hashagg": "off",
    "plan_cache_mode": "force_custom_plan",
    "synchronous_commit": "off",
    "quote_all_identifiers": "on",
    "backslash_quote": "off",
    "check_function_bodies": "off",
    "default_toast_compression": "pglz",
    "xmloption": "document",
}
FOREIGN_FROM_17 = {"transaction_timeout": "200ms"}


async def set_defaults(dsn: str, defaults: dict[str, str]) -> None:
    """For whoever connects to the database from now on."""
    name = dsn.split("/")[3].split("?")[0]
    connection = await asyncpg.connect(dsn)
    try:
        for each, value in defaults.items():
            listed = value if each == "DateStyle" else f"'{value}'"
            await connection.execute(f"ALTER DATABASE {name} SET {each} = {listed}")
    finally:
        await connection.close()


async def make_foreign(dsn: str) -> None:
    """All of them at once."""
    connection = await asyncpg.connect(dsn)
    is_17 = connection.get_server_version().major >= 17
    await connection.close()
    await set_defaults(dsn, FOREIGN | (FOREIGN_FROM_17 if is_17 else {}))
