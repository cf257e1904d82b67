"""The settings with which every session of Argosy runs, whatever defaults the server, the database or the role have.

Rule: a session itself sets, when it begins, everything on which the meaning, the safety or the plan of a statement
depends. That outranks ALTER SYSTEM, ALTER DATABASE and ALTER ROLE; a preflight compares it with what the session got.
"""

from typing import Final

# Written as the server reports them, so that they can be compared.
SESSION_SETTINGS: Final = {
    "search_path": "argosy",
    # The fence: a statement sees what was committed while the one before it waited for a lock (functions/fence.sql).
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    # The caller or the function bounds each wait. A time-out that somebody else has set would cut off a watcher that
    # waits for a lock, a listener, or the one statement that writes for many turns.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    # A process that stops inside a transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "5000",
    # A backend that waits for a lock notices that its client is gone, so a call that was given up has no late effect.
    "client_connection_check_interval": "1000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20000",
    # An error of a statement is an answer (a lock was not free), not the end of its session.
    "exit_on_error": "off",
    # A policy that hides rows from Argosy must raise an error, not leave them out of the answer.
    "row_security": "off",
    "default_table_access_method": "heap",
    # How text is read and written.
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "client_min_messages": "warning",
    # Statements are short: compiling one, or starting processes for it, takes longer than running it.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # A batch of records or events is sorted in memory.
    "work_mem": "16384",
    # Every statement is a few index lookups. With statistics from before a backlog came, the planner would expect no
    # rows and read the whole backlog, again for each session; or sort a session's whole backlog for its first turn.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_indexscan": "on",
    "enable_indexonlyscan": "on",
    "enable_tidscan": "on",
    "enable_nestloop": "on",
    "enable_material": "on",
    "enable_hashagg": "on",
    # For the same reason plans do not depend on the values of one call; and planning is half the cost of a small read.
    "plan_cache_mode": "force_generic_plan",
}

# Only a superuser may set these, for a database or a role. With other values Argosy could not rely on the database.
EXPECTED: Final = {
    "session_replication_role": ("origin", "foreign keys and triggers do not hold"),
    "zero_damaged_pages": ("off", "damaged pages are taken for empty ones"),
    "ignore_system_indexes": ("off", "every statement reads the whole catalog"),
    "track_activities": ("on", "a leader that has stopped is not seen"),
}
