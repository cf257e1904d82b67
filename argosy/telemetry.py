"""Every metric and the name of every log event, in one table.

No metric has a session or a turn as a label. Hot code binds labels once, never per turn. A turn that goes well has no
log line.
"""

from typing import Final

import structlog
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Counter, Gauge, Histogram, generate_latest

from argosy.tally import StepTally

_LATENCY_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# Gateway
REQUESTS = Counter("argosy_gateway_requests", "HTTP requests", ["route", "status"])
REQUEST_S = Histogram("argosy_gateway_request_seconds", "Time until an answer begins", ["route"], buckets=_LATENCY_S)
APPENDS = Counter("argosy_gateway_appends", "Turns handed to the log, by outcome", ["outcome"])
RATE_LIMITED = Counter("argosy_gateway_rate_limited", "Requests refused by a limit, by what it is of", ["kind"])
CONNECTIONS_REFUSED = Counter("argosy_gateway_connections_refused", "Connections closed, by the bound passed", ["why"])
STREAMS = Gauge("argosy_gateway_streams", "Event streams that clients have open")
STREAMS_REFUSED = Counter("argosy_gateway_streams_refused", "Event streams refused for want of room")
UPLOADS = Gauge("argosy_gateway_uploads", "Uploads into graphs under way")
UPLOADED_BYTES = Counter("argosy_gateway_upload_bytes", "Bytes of uploaded lines handed to the log")
STREAM_READS = Counter("argosy_gateway_stream_reads", "Reads of history for event streams", ["why"])
WATCH_LINES = Gauge("argosy_gateway_watch_lines", "Workers to which this process is connected, for live events")
IDENTITY_AGE_S = Gauge("argosy_gateway_identity_age_seconds", "Age of the copy of tokens and tenants; -1: none yet")
TOKENS_EXPIRING = Gauge("argosy_tokens_expiring", "Tokens that expire within a time, as this process knows", ["within"])
REQUESTS_REFUSED = Counter("argosy_gateway_requests_refused", "Requests refused for who asked, by the answer", ["code"])
CACHE_AGE_S = Gauge("argosy_gateway_cache_age_seconds", "Age of the cache of workflows and owners")

# Dispatch worker
ACCEPTED = Counter("argosy_turns_accepted", "Records that became turns")
ENDED = Counter("argosy_turns_ended", "Turns that ended, by status", ["status"])
TURNS_WAITING_FOR_BUILD = Gauge(
    "argosy_turns_waiting_for_build", "Turns of this owner that it cannot run, and that no other worker runs for it"
)
TURNS_LENT = Gauge("argosy_turns_lent", "Turns of this owner that another worker runs, because it has their build")
TURNS_BORROWED = Gauge("argosy_turns_borrowed", "Turns of other owners that this worker runs")
PARKED = Counter("argosy_turns_parked", "Turns that were parked, by reason", ["reason"])
CLEANUPS = Counter("argosy_cleanups", "Clean-ups of cancelled turns that were done, failed or cut off", ["outcome"])
SUSPECTS = Gauge("argosy_suspects", "Turns that may be the cause of workers' crashes, by what they do", ["state"])
TRIALS = Gauge("argosy_trials", "Groups of suspects on trial: 0 or 1")
TRIALS_ENDED = Counter("argosy_trials_ended", "Trials of groups of suspects in which no worker died", ["outcome"])
RECORDS_UNSIGNED = Counter("argosy_records_unsigned", "Records without a MAC that were taken (LOG_RECORDS=signing)")
DEAD_LETTERS = Counter("argosy_dead_letters", "Records that cannot become turns and are kept, by reason", ["code"])
RUNNING = Gauge("argosy_turns_running", "Turns that hold a slot")
READY_SESSIONS = Gauge("argosy_ready_sessions", "Sessions whose head could run and waits for a slot")
PARTITIONS_OWNED = Gauge("argosy_partitions_owned", "Partitions that this worker owns")
PARTITION_LAG = Gauge("argosy_partition_lag", "Records not accepted yet", ["partition"])
PARTITION_EPOCH = Gauge("argosy_partition_epoch", "Epoch of this worker's claim, without its lineage", ["partition"])
PARTITION_READY_SESSIONS = Gauge(
    "argosy_partition_ready_sessions", "Sessions whose head could run and waits for a slot", ["partition"]
)
PARTITION_OLDEST_TURN_S = Gauge(
    "argosy_partition_oldest_turn_seconds",
    "Age of the oldest turn that runs or could run; 0: there is none",
    ["partition"],
)
CLAIMS = Counter("argosy_claims", "Partitions claimed")
ADOPTIONS = Counter("argosy_adoptions", "Partitions taken over from an owner that died")
HANDOVERS = Counter("argosy_handovers", "Partitions handed over between living workers, by outcome", ["outcome"])
REBALANCES = Counter("argosy_rebalances", "Changes of the partitions that the log lets this worker read")
FENCES_REFUSED = Counter("argosy_fences_refused", "Partitions whose fence did not hold in a flush")
TURNS_REFUSED = Counter("argosy_turns_refused", "Turns that were not as a flush expected them")
LOGS_REPLACED = Counter("argosy_log_replaced", "Times the log was found to be another one, or to lack records")
GAPS = Counter("argosy_log_gaps", "Batches that did not begin at the position of their partition")
FLUSHES = Counter("argosy_flushes", "Flushes, by stream", ["stream"])
FLUSHES_REPEATED = Counter("argosy_flushes_repeated", "Flushes sent again after an unknown outcome", ["stream"])
FLUSH_TURNS = Histogram(
    "argosy_flush_turns", "Turns in one flush", ["stream"], buckets=(1, 2, 5, 10, 25, 50, 100, 200, 400, 1000)
)
FLUSH_S = Histogram("argosy_flush_seconds", "Time of one flush", ["stream"], buckets=_LATENCY_S)
THREADS_ABANDONED = Gauge(
    "argosy_threads_abandoned", "Threads whose call was given up and goes on, by kind: step or workflow", ["kind"]
)
THREADS_WAITED_FOR = Gauge(
    "argosy_threads_waited_for", "Calls that wait for a thread, by kind: step or workflow", ["kind"]
)
STEPS = StepTally(
    ("argosy_steps", "Tries of steps, by outcome"),
    ("argosy_step_seconds", "Time of one try of a step"),
    (*_LATENCY_S, 60, 300, 1800),
)
INBOX = Counter("argosy_inbox_rows", "Inbox rows taken, by kind and what became of them", ["kind", "outcome"])
POKES = Counter("argosy_pokes", "Pokes received")
WATCH_STREAMS = Gauge("argosy_watch_streams", "Gateway processes that are connected to this worker, for live events")
WATCH_SUBSCRIPTIONS = Gauge("argosy_watch_subscriptions", "Turns and sessions that gateways follow here")
WATCH_LOOKS = Counter("argosy_watch_looks", "Durable events that a gateway was told to read in Postgres")
FRAMES = Counter("argosy_frames", "Frames sent to gateways")
CALLS_REFUSED = Counter(
    "argosy_calls_refused", "Calls that callers or callees ended because a message was not signed for them"
)
CALLS_S = Histogram(
    "argosy_shard_call_seconds", "Time of a call to a shard, by what it came to", ["method", "code"], buckets=_LATENCY_S
)
CALLS_SIZE_BYTES = Gauge("argosy_shard_requests_size_bytes", "Requests that a shard works at, or is being sent")
FLUSHES_SPLIT = Counter("argosy_flushes_split", "Flushes that were sent in parts, by reason", ["stream", "why"])
TURNS_UNWRITABLE = Counter("argosy_turns_unwritable", "Turns of which Postgres refuses even that they are parked")
PAYLOADS_UNREADABLE = Counter("argosy_payloads_unreadable", "Sealed payloads that did not open")
LOOP_LAG_S = Gauge("argosy_loop_lag_seconds", "How late the event loop was at the last look")

# Ingest worker: topics of others
TOPIC_LAG = Gauge("argosy_ingest_topic_lag", "Records that are not in the graph yet", ["topic", "partition"])
TOPIC_RECORDS = Counter("argosy_ingest_topic_records", "Records that are in the graph now", ["topic"])

# Graph shards
SHARD_GRAPHS_OPEN = Gauge("argosy_shard_graphs_open", "Graphs whose files a shard has open")
SHARD_WAL_SIZE_BYTES = Gauge("argosy_shard_wal_size_bytes", "Logs of writes of the graphs that a shard has open")
SHARD_QUEUE = Gauge("argosy_shard_queue", "Batches that wait to be written")
SHARD_QUEUE_SIZE_BYTES = Gauge("argosy_shard_queue_size_bytes", "Memory of the batches that wait to be written")
SHARD_WRITES_REFUSED = Counter("argosy_shard_writes_refused", "Batches that were refused because too many wait")
SHARD_COMMIT_BATCHES = Histogram(
    "argosy_shard_commit_batches", "Batches in one commit", buckets=(1, 2, 5, 10, 25, 50, 100, 256)
)
SHARD_FEED_LINES = Counter("argosy_shard_feed_lines", "Lines of feeds, by what came of them", ["outcome"])
SHARD_THREADS_BUSY = Gauge("argosy_shard_threads_busy", "Calls that a thread works at, or that wait for one", ["kind"])
SHARD_VIEWS = Gauge("argosy_shard_views", "Graphs that are ready for Cypher")
SHARD_VIEW_MEMORY_BYTES = Gauge("argosy_shard_view_memory_bytes", "Memory of all views of a shard")
SHARD_QUERIES = Gauge("argosy_shard_queries", "Queries that views are answering")
SHARD_VIEW_BUILDS = Counter("argosy_shard_view_builds", "Views that were begun to be built")
SHARD_VIEWS_LOST = Counter("argosy_shard_views_lost", "Views that ended, fell behind or could not be built")

# Every process
LOOP_ERRORS = Counter("argosy_loop_errors", "Errors that a loop outlived, by what they mean", ["loop", "fault"])
LOOP_FAILING = Gauge("argosy_loop_failing", "1 while the last round of a loop failed", ["loop"])

# Ingest workers
INGEST_LINES = Counter("argosy_ingest_lines", "Lines that graphs' files answered for, by outcome", ["outcome"])
INGEST_RECORDS = Counter("argosy_ingest_records", "Records of lines, by what became of them", ["fate"])
INGEST_BATCH_S = Histogram("argosy_ingest_batch_seconds", "Time of one batch at a shard", buckets=_LATENCY_S)
INGEST_HELD_BYTES = Gauge("argosy_ingest_held_size_bytes", "Size of the records that were read and are not done")
INGEST_PARTITIONS_PAUSED = Gauge("argosy_ingest_partitions_paused", "Partitions that wait for graphs that wait")
INGEST_LAG = Gauge("argosy_ingest_lag", "Records of ingest that are not done", ["partition"])
INGEST_JOBS_ENDED = Counter("argosy_ingest_jobs_ended", "Ends of jobs that this worker found out, by state", ["state"])

# Graphs, as processes ask for them
SHARD_UP = Gauge("argosy_engine_shard_up", "1 while a shard answered when it was asked last", ["endpoint"])
SHARD_CALLS = Counter("argosy_engine_calls", "Calls to a shard, by what came of them", ["endpoint", "outcome"])
SHARD_RETRIES = Counter("argosy_engine_retries", "Calls to a shard that were made again", ["endpoint"])
SHARD_RETRIES_HASTENED = Counter("argosy_engine_retries_hastened", "Waits of turns that a shard's return ended early")
SHARD_BREAKER_OPENED = Counter("argosy_engine_breaker_opened", "Times a shard was left alone for a while", ["endpoint"])
GRAPH_LOOKUPS = Counter("argosy_graph_lookups", "Looks at where a graph is: in memory, Postgres, or again", ["where"])
EMBEDDER_S = Histogram("argosy_embedder_seconds", "Time of a call of EMBEDDER", ["outcome"], buckets=_LATENCY_S)

# Maintenance
LEADER = Gauge("argosy_leader", "1 where this process leads the role", ["role"])
LEADER_TERM = Gauge("argosy_leader_term", "Term of the last leadership of this process, without its lineage", ["role"])
LEADER_TICKS = Counter("argosy_leader_ticks", "Ticks of leaders, by outcome", ["role", "outcome"])
LEADER_TICK_S = Histogram("argosy_leader_tick_seconds", "Time of one tick", ["role"], buckets=_LATENCY_S)
LOG_RECORDS = Gauge("argosy_log_records", "Records that the log of a lane holds", ["lane"])
LOG_SIZE_BYTES = Gauge("argosy_log_size_bytes", "Disk that the log of a lane takes, replicas not counted", ["lane"])
MOVES = Gauge("argosy_moves", "Moves of graphs between shards that are open", ["state"])
MOVES_ENDED = Counter("argosy_moves_ended", "Moves of graphs that ended", ["outcome"])
MOVES_SEALED_S = Gauge("argosy_moves_sealed_seconds", "How long the graph takes no writes that is moved for longest")
MOVE_STALL_S = Histogram("argosy_move_stall_seconds", "How long a graph took no writes in a move", buckets=_LATENCY_S)
MOVE_BYTES = Counter("argosy_move_bytes", "Bytes of graphs that were copied between shards")
SHARD_GRAPHS = Gauge("argosy_shard_graphs", "Graphs that a shard has, by the directory", ["endpoint"])
ERASURES_WAITING = Gauge("argosy_erasures_waiting", "Erasures that cannot go on now, by stage", ["stage"])
ERASURES_WAITING_S = Gauge(
    "argosy_erasures_waiting_seconds", "For how long nothing has changed of the erasure that has waited longest"
)
SNAPSHOT_HELD_S = Gauge("argosy_snapshot_held_seconds", "Age of the oldest transaction that keeps dead rows")

# The closed list of log events, for `log.info(telemetry.X, ...)`.
WORKER_STARTED: Final = "worker.started"
WORKER_DRAINING: Final = "worker.draining"
WORKER_STOPPED: Final = "worker.stopped"
GATEWAY_STARTED: Final = "gateway.started"
GATEWAY_STOPPED: Final = "gateway.stopped"
GATEWAY_FEW_FILES: Final = "gateway.few_files"
AUDIT: Final = "audit"
IDENTITY_TOO_MANY_TOKENS: Final = "identity.too_many_tokens"
GATEWAY_UNAUTHENTICATED: Final = "gateway.unauthenticated"
GATEWAY_UNTRUSTED_PROXY: Final = "gateway.untrusted_proxy"
REQUEST_FAILED: Final = "request.failed"
PARTITIONS_CLAIMED: Final = "partitions.claimed"
PARTITIONS_TAKEN: Final = "partitions.taken"
PARTITIONS_GIVEN: Final = "partitions.given"
PARTITIONS_ADOPTED: Final = "partitions.adopted"
HANDOVER_LATE: Final = "handover.late"
PARTITION_VOIDED: Final = "partition.voided"
LOG_GAP: Final = "log.gap"
LOG_REPLACED: Final = "log.replaced"
TOPIC_GROWN: Final = "topic.grown"
LOG_RECOVERY: Final = "log.recovery"
LOG_UNAVAILABLE: Final = "log.unavailable"
LOG_MESSAGE: Final = "log.message"
TOPIC_WARNING: Final = "topic.warning"
TOPIC_READ: Final = "ingest.topic_read"
TOPIC_MADE_AGAIN: Final = "ingest.topic_made_again"
TOPIC_WAITING: Final = "ingest.topic_waiting"
TOPIC_LACKS: Final = "ingest.topic_lacks"
MAPPING_SLOW: Final = "ingest.mapping_slow"
RECORD_KEPT_ASIDE: Final = "record.kept_aside"
START_LEFT: Final = "start.left"
STORE_UNAVAILABLE: Final = "store.unavailable"
STORE_NOT_READY: Final = "store.not_ready"
STORE_RECONNECTED: Final = "store.reconnected"
FLUSH_HOLDERS_ENDED: Final = "flush.holders_ended"
STORE_WARNING: Final = "store.warning"
KEYS_STALE: Final = "keys.stale"
EMBEDDED_PART_ENDED: Final = "embedded.part_ended"
FLUSH_REPEATED: Final = "flush.repeated"
FLUSH_POISONED: Final = "flush.poisoned"
FLUSH_SPLIT: Final = "flush.split"
TURN_UNWRITABLE: Final = "turn.unwritable"
LOOP_ERROR: Final = "loop.error"
ISSUER_OF_ANY_TENANT: Final = "issuer.of_any_tenant"
ISSUER_AWAY: Final = "issuer.away"
ISSUER_KEYS_CHANGED: Final = "issuer.keys_changed"
LOANS_TAKEN_BACK: Final = "loans.taken_back"
TURN_PARKED: Final = "turn.parked"
SUSPECTS_TRIED: Final = "suspects.tried"
SUSPECTS_CLEARED: Final = "suspects.cleared"
TURN_REFUSED: Final = "turn.refused"
WORKFLOWS_LOADED: Final = "workflows.loaded"
WORKFLOWS_BROKEN: Final = "workflows.broken"
EMBEDDER_FAILED: Final = "embedder.failed"
HEARTBEAT_FAILED: Final = "heartbeat.failed"
LINEAGE_CHANGED: Final = "lineage.changed"
STEP_FAILED: Final = "step.failed"
STEP_RETRIED: Final = "step.retried"
TURN_FAILED: Final = "turn.failed"
CLEANUP_FAILED: Final = "cleanup.failed"
CLEANUP_CUT_OFF: Final = "cleanup.cut_off"
WORKFLOW_UNHANDLED: Final = "workflow.unhandled"
WORKFLOW_UNCLOSED: Final = "workflow.unclosed"
THREAD_ABANDONED: Final = "thread.abandoned"
THREADS_REFUSED: Final = "threads.refused"
LOOP_LEFT: Final = "loop.left"
LOOP_UNHANDLED: Final = "loop.unhandled"
UNRAISABLE: Final = "code.unraisable"
LOOP_STUCK: Final = "loop.stuck"
OWNER_CUT_OFF: Final = "owner.cut_off"
LOOP_BLOCKED: Final = "loop.blocked"
SHARDS_SEEDED: Final = "shards.seeded"
SHARDS_DIFFER: Final = "shards.differ"
SHARD_UNREACHABLE: Final = "shard.unreachable"
SHARD_REACHED: Final = "shard.reached"
SHARD_FOREIGN: Final = "shard.foreign"
GRAPH_FILE_UNUSABLE: Final = "graph.file_unusable"
INGEST_STARTED: Final = "ingest.worker_started"
INGEST_STOPPED: Final = "ingest.worker_stopped"
INGEST_BEGUN_AGAIN: Final = "ingest.begun_again"
INGEST_PARTITION_PAUSED: Final = "ingest.partition_paused"
INGEST_PARTITION_RESUMED: Final = "ingest.partition_resumed"
INGEST_GRAPH_WAITING: Final = "ingest.graph_waiting"
INGEST_GRAPH_MADE_AGAIN: Final = "ingest.graph_made_again"
INGEST_JOB_FAILED: Final = "ingest.job_failed"
INGEST_JOBS_LOST: Final = "ingest.jobs_lost"
INGEST_RECORD_NEWER: Final = "ingest.record_newer"
INGEST_RECORD_FOREIGN: Final = "ingest.record_foreign"
MAINTENANCE_STARTED: Final = "maintenance.started"
LEADER_ELECTED: Final = "leader.elected"
LEADER_RESIGNED: Final = "leader.resigned"
LEADER_ENDED: Final = "leader.ended"
SNAPSHOT_HELD: Final = "store.snapshot_held"
AUDIT_KEPT: Final = "audit.kept"
LEADER_TICK_FAILED: Final = "leader.tick_failed"
TRIM_FAILED: Final = "trim.failed"
ERASURE_WAITS: Final = "erasure.waits"
ERASURE_LATE: Final = "erasure.late"
MOVE_BEGUN: Final = "move.begun"
MOVE_WAITS: Final = "move.waits"
MOVE_DONE: Final = "move.done"
MOVE_ABORTED: Final = "move.aborted"
MOVE_LATE: Final = "move.late"
MOVE_FAILED: Final = "move.failed"
GRAPH_DROP_FAILED: Final = "graph.drop_failed"
SHARD_STARTED: Final = "shard.started"
SHARD_DRAINING: Final = "shard.draining"
SHARD_STOPPED: Final = "shard.stopped"
SHARD_LISTS_DISAGREE: Final = "shard.lists_disagree"
SHARD_UNMEASURED: Final = "shard.unmeasured"
SHARD_WRITE_FAILED: Final = "shard.write_failed"
SHARD_VIEW_FAILED: Final = "shard.view_failed"
SHARD_VECTORS_UNFILLED: Final = "shard.vectors_unfilled"
SETTINGS_WITHOUT_USE: Final = "settings.without_use"
TASK_FAILED: Final = "task.failed"
CALL_REFUSED: Final = "call.refused"
GRPC_CLEAR_TEXT: Final = "grpc.clear_text"
TLS_FILES_TAKEN: Final = "tls.files_taken"
TLS_FILES_REFUSED: Final = "tls.files_refused"
CALL_FAILED: Final = "call.failed"


def exposition() -> tuple[bytes, str]:
    """Return the metrics of this process as Prometheus reads them: the body of /metrics and its content type."""
    return generate_latest(), CONTENT_TYPE_PLAIN_0_0_4


def logger() -> structlog.stdlib.BoundLogger:
    """Return the logger for log events."""
    log: structlog.stdlib.BoundLogger = structlog.get_logger()
    return log
