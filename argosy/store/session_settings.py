"""What every session of Argosy runs with, whatever the server, the database or the role have as defaults.

Rule: whatever the meaning, the safety or the plan of a statement depends on is said by the session itself, when it
begins. It outranks ALTER SYSTEM, ALTER DATABASE and ALTER ROLE; a preflight compares it with what the session got.
"""

from typing import Final

# Of every session; as the server writes them down itself, so that they can be compared.
SESSION_SETTINGS: Final = {
    "search_path": "argosy",
    # The fence: a statement sees what was committed while the one before it waited for a lock (functions/fence.sql).
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    # Every wait is bounded where it is made, by the caller's time or by the function; a time-out of others would cut
    # a watcher that waits in a lock, a listener, or the one statement that writes for many turns.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    # A process that stops inside a transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "5000",
    # A backend that waits for a lock notices that its client is gone: what was given up takes no effect later.
    "client_connection_check_interval": "1000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20000",
    # An error of a statement is an answer (a lock that was not to be had), not the end of its session.
    "exit_on_error": "off",
    # A policy that hides rows of ours makes an error, not an answer without them.
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
    # Statements are short: to compile one, or to start processes for it, takes longer than to run it.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # A batch of records or events is sorted in memory.
    "work_mem": "16384",
    # Every statement is a few index lookups. With statistics from before a backlog came, the planner would take it for
    # nothing and read all of it, again for each session; or sort a session's whole backlog for its first turn.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_indexscan": "on",
    "enable_indexonlyscan": "on",
    "enable_tidscan": "on",
    "enable_nestloop": "on",
    "enable_material": "on",
    "enable_hashagg": "on",
    # For the same reason the values of one call have no say in it; and to plan is half of what a small read takes.
    "plan_cache_mode": "force_generic_plan",
}

# Only a superuser may set these, for a database or a role; with other values what we write is not what is kept.
EXPECTED: Final = {
    "session_replication_role": ("origin", "foreign keys and triggers do not hold"),
    "zero_damaged_pages": ("off", "damaged pages are taken for empty ones"),
    "ignore_system_indexes": ("off", "every statement reads the whole catalog"),
    "track_activities": ("on", "a leader that has stopped is not seen"),
}
