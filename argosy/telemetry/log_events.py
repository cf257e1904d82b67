"""The closed list of log events, for `log.info(telemetry.X, ...)`. A turn that goes well has no log line."""

from typing import Final

from argosy.telemetry.event import event

WORKER_STARTED: Final = event("worker.started", "A dispatch worker takes turns from now on")
WORKER_DRAINING: Final = event(
    "worker.draining", "A dispatch worker was told to end: it starts nothing new, and hands its partitions over"
)
WORKER_STOPPED: Final = event("worker.stopped", "A dispatch worker has ended in order")
GATEWAY_STARTED: Final = event("gateway.started", "A gateway listens")
GATEWAY_SERVING: Final = event(
    "gateway.serving", "A gateway process has a port of its own for its metrics, which stands there"
)
GATEWAY_STOPPED: Final = event("gateway.stopped", "A gateway has ended in order")
GATEWAY_FEW_FILES: Final = event(
    "gateway.few_files", "The limit of open files is too low for GATEWAY_CONNECTIONS_MAX: raise it (`ulimit -n`)"
)
AUDIT: Final = event("audit", "Somebody did something that the audit has: who, what and to what")
IDENTITY_TOO_MANY_TOKENS: Final = event(
    "identity.too_many_tokens", "There are more tokens than a gateway keeps: it asks Postgres for the others"
)
GATEWAY_UNAUTHENTICATED: Final = event(
    "gateway.unauthenticated", "The gateway asks nobody who they are (KG_AUTH_REQUIRED=0)"
)
GATEWAY_UNTRUSTED_PROXY: Final = event(
    "gateway.untrusted_proxy",
    "A request names another address than its sender, who is not among GATEWAY_TRUSTED_PROXIES",
)
REQUEST_FAILED: Final = event(
    "request.failed", "A request failed for a reason that is Argosy's: a bug, or an answer that broke off"
)
PARTITIONS_CLAIMED: Final = event("partitions.claimed", "This worker owns these partitions now")
PARTITIONS_TAKEN: Final = event("partitions.taken", "Another worker has claimed these partitions")
PARTITIONS_GIVEN: Final = event("partitions.given", "These partitions were handed over; steps in flight end here")
PARTITIONS_ADOPTED: Final = event("partitions.adopted", "This worker owns these partitions now, whose owner is dead")
HANDOVER_LATE: Final = event(
    "handover.late",
    "A step in flight did not end within HANDOVER_S: its turn goes on at the new owner, which runs it again",
)
PARTITION_VOIDED: Final = event(
    "partition.voided", "Postgres refused a write: the partition is another worker's, and nothing was written"
)
LOG_GAP: Final = event("log.gap", "Records are missing between two batches: the partition is read again")
LOG_REPLACED: Final = event(
    "log.replaced", "The log is another one, or lacks records that were not accepted: turns may be missing"
)
TOPIC_GROWN: Final = event(
    "topic.grown", "The topic has other partitions than those that are used: what to do stands there"
)
LOG_RECOVERY: Final = event(
    "log.recovery", "How long turns wait at the most when a worker dies, by the settings of the brokers"
)
LOG_UNAVAILABLE: Final = event("log.unavailable", "The log does not answer")
LOG_MESSAGE: Final = event("log.message", "Kafka's client says something")
TOPIC_WARNING: Final = event("topic.warning", "A topic is not set up as it should be")
TOPIC_READ: Final = event("ingest.topic_read", "A topic of INGEST_TOPICS is being read into its graph")
TOPIC_MADE_AGAIN: Final = event(
    "ingest.topic_made_again",
    "A topic of INGEST_TOPICS is another one than before, and is read from where its setting says",
)
TOPIC_WAITING: Final = event("ingest.topic_waiting", "A topic of INGEST_TOPICS is not read, and why")
TOPIC_LACKS: Final = event("ingest.topic_lacks", "A topic of INGEST_TOPICS has lost records before they were read")
MAPPING_SLOW: Final = event("ingest.mapping_slow", "A function of INGEST_TOPICS takes very long for these records")
RECORD_KEPT_ASIDE: Final = event("record.kept_aside", "A record cannot become a turn: it is a dead letter now")
START_LEFT: Final = event(
    "start.left", "A turn that another turn started cannot be accepted, and is tried again by the next owner"
)
STORE_UNAVAILABLE: Final = event("store.unavailable", "Postgres does not answer")
STORE_NOT_READY: Final = event("store.not_ready", "Postgres, or the log, is not ready: the start, or a read, waits")
STORE_RECONNECTED: Final = event("store.reconnected", "Postgres answers again")
FLUSH_HOLDERS_ENDED: Final = event("flush.holders_ended", "Sessions of a former owner that held up a claim were ended")
STORE_WARNING: Final = event("store.warning", "Something about the database should be otherwise")
KEYS_STALE: Final = event("keys.stale", "Keys of tenants could not be read again: those that are known are used on")
EMBEDDED_PART_ENDED: Final = event("embedded.part_ended", "A part of `argosy.Argosy` ended, and is started again")
FLUSH_REPEATED: Final = event(
    "flush.repeated", "The outcome of a flush is not known: it is sent again, and counts once"
)
FLUSH_POISONED: Final = event("flush.poisoned", "Postgres refuses what a turn tried to write: the turn is parked")
FLUSH_SPLIT: Final = event("flush.split", "Postgres refused a flush, or was too slow for it: it is sent in parts")
TURN_UNWRITABLE: Final = event(
    "turn.unwritable", "Postgres refuses even that a turn is parked: its session waits for an operator"
)
LOOP_ERROR: Final = event(
    "loop.error", "A loop failed, and goes on after a pause; `/readyz` names it while it keeps failing"
)
ISSUER_OF_ANY_TENANT: Final = event(
    "issuer.of_any_tenant", "An issuer may make tokens for any tenant: say for which it may"
)
ISSUER_AWAY: Final = event("issuer.away", "The keys of an issuer cannot be fetched: those that are known are used on")
ISSUER_KEYS_CHANGED: Final = event("issuer.keys_changed", "An issuer has other keys than before")
LOANS_TAKEN_BACK: Final = event("loans.taken_back", "Turns whose borrower is dead are their owner's again")
TURN_PARKED: Final = event(
    "turn.parked", "A turn waits for an operator: resume it (`argosy turn resume`), or cancel it"
)
SUSPECTS_TRIED: Final = event("suspects.tried", "Turns that may have ended workers run again, watched, as one group")
SUSPECTS_CLEARED: Final = event("suspects.cleared", "A group of suspects was on trial, and no worker died")
TURN_REFUSED: Final = event("turn.refused", "A turn was not as a flush expected it: it is read again")
WORKFLOWS_LOADED: Final = event("workflows.loaded", "The workflows that this process can run")
WORKFLOWS_BROKEN: Final = event("workflows.broken", "A workflow cannot be loaded: the worker takes no part")
EMBEDDER_FAILED: Final = event("embedder.failed", "EMBEDDER failed")
HEARTBEAT_FAILED: Final = event("heartbeat.failed", "A sign of life could not be written to Postgres")
LINEAGE_CHANGED: Final = event(
    "lineage.changed", "The database was restored, or failed over: everything is claimed anew"
)
STEP_FAILED: Final = event("step.failed", "A step failed for good")
STEP_RETRIED: Final = event("step.retried", "A step failed for the first time, and is tried again")
TURN_FAILED: Final = event("turn.failed", "A turn failed, and not for a step")
CLEANUP_FAILED: Final = event("cleanup.failed", "The clean-up of a cancelled turn failed")
CLEANUP_CUT_OFF: Final = event("cleanup.cut_off", "The clean-up of a cancelled turn took too long")
WORKFLOW_UNHANDLED: Final = event(
    "workflow.unhandled", "A task of a workflow failed, and nothing asked for its outcome"
)
WORKFLOW_UNCLOSED: Final = event("workflow.unclosed", "A workflow raised while its code was closed, after its end")
THREAD_ABANDONED: Final = event("thread.abandoned", "A call did not end when it should have, and holds its thread")
THREADS_REFUSED: Final = event("threads.refused", "The system gives no more threads")
LOOP_LEFT: Final = event(
    "loop.left", "Code of a user raised what ends an event loop, such as SystemExit: the worker goes on"
)
LOOP_UNHANDLED: Final = event("loop.unhandled", "An error reached the event loop that nothing handled")
UNRAISABLE: Final = event("code.unraisable", "An error that could not be raised anywhere, of a finalizer for instance")
LOOP_STUCK: Final = event(
    "loop.stuck", "The event loop stood still for LOOP_STUCK_S: the process dumps its stacks and ends"
)
OWNER_CUT_OFF: Final = event(
    "owner.cut_off", "Postgres has not answered for OWNER_LOST_S: nothing new is started, and the group is left"
)
LOOP_BLOCKED: Final = event("loop.blocked", "The event loop was late: something blocks it")
SHARDS_SEEDED: Final = event("shards.seeded", "GRAPH_SERVICE_ENDPOINTS has become the first members")
SHARDS_DIFFER: Final = event(
    "shards.differ", "GRAPH_SERVICE_ENDPOINTS names other shards than the database, which counts"
)
SHARD_UNREACHABLE: Final = event("shard.unreachable", "A shard does not answer: its graphs wait")
SHARD_REACHED: Final = event("shard.reached", "A shard answers again")
SHARD_FOREIGN: Final = event(
    "shard.foreign", "At the endpoint of a shard another folder answers: nothing is asked there"
)
GRAPH_FILE_UNUSABLE: Final = event(
    "graph.file_unusable", "The file of a graph cannot be used: what needs it waits for an operator"
)
INGEST_STARTED: Final = event("ingest.worker_started", "An ingest worker takes lines from now on")
INGEST_STOPPED: Final = event("ingest.worker_stopped", "An ingest worker has ended in order")
INGEST_BEGUN_AGAIN: Final = event(
    "ingest.begun_again", "An ingest worker reads everything again that is not in graphs yet"
)
INGEST_PARTITION_PAUSED: Final = event(
    "ingest.partition_paused", "Too much waits for graphs that wait: the partition is read no further for now"
)
INGEST_PARTITION_RESUMED: Final = event("ingest.partition_resumed", "The partition is read on")
INGEST_GRAPH_WAITING: Final = event("ingest.graph_waiting", "The lines of a graph wait, and why")
INGEST_GRAPH_MADE_AGAIN: Final = event(
    "ingest.graph_made_again",
    "The database does not know the graph of an upload, after a restore for instance: it is made again",
)
INGEST_JOB_FAILED: Final = event("ingest.job_failed", "An upload failed, and why")
INGEST_JOBS_LOST: Final = event(
    "ingest.jobs_lost", "The log has lost lines of uploads: these wait until they are repeated"
)
INGEST_RECORD_NEWER: Final = event(
    "ingest.record_newer", "A newer version wrote a record: its partition waits for a worker of that version"
)
INGEST_RECORD_FOREIGN: Final = event(
    "ingest.record_foreign", "A record is of another upload than its job: it is left out"
)
MAINTENANCE_STARTED: Final = event("maintenance.started", "A process stands for the maintenance roles")
LEADER_ELECTED: Final = event("leader.elected", "This process leads a role")
LEADER_RESIGNED: Final = event("leader.resigned", "This process leads a role no more, and why")
LEADER_ENDED: Final = event("leader.ended", "The session of a leader that had stopped was ended")
SNAPSHOT_HELD: Final = event(
    "store.snapshot_held", "Something has kept dead rows for longer than SNAPSHOT_HELD_S: end it"
)
AUDIT_KEPT: Final = event("audit.kept", "Rows of the audit cannot be deleted: this user may not")
LEADER_TICK_FAILED: Final = event("leader.tick_failed", "A tick of a leader failed")
TRIM_FAILED: Final = event("trim.failed", "The log cannot be trimmed, and grows")
ERASURE_WAITS: Final = event("erasure.waits", "An erasure waits, and for what")
ERASURE_LATE: Final = event("erasure.late", "Nothing has changed of an erasure for ERASURE_LATE_S: nobody is at it")
MOVE_BEGUN: Final = event("move.begun", "A graph begins to move")
MOVE_WAITS: Final = event("move.waits", "The move of a graph waits, and for what")
MOVE_DONE: Final = event("move.done", "A graph has moved")
MOVE_ABORTED: Final = event("move.aborted", "The move of a graph was given up, and why")
MOVE_LATE: Final = event("move.late", "A graph that moves has taken no writes for long: one of its shards is away")
MOVE_FAILED: Final = event("move.failed", "A move failed unforeseen, and is carried on later")
GRAPH_DROP_FAILED: Final = event("graph.drop_failed", "A graph could not be dropped at its shard")
SHARD_STARTED: Final = event("shard.started", "A shard takes calls from now on")
SHARD_DRAINING: Final = event("shard.draining", "A shard was told to end")
SHARD_STOPPED: Final = event("shard.stopped", "A shard has ended in order")
SHARD_LISTS_DISAGREE: Final = event(
    "shard.lists_disagree", "A shard and who asks it do not agree on whether access control lists are enforced"
)
SHARD_UNMEASURED: Final = event("shard.unmeasured", "A shard could not measure itself")
SHARD_WRITE_FAILED: Final = event("shard.write_failed", "A write failed in a shard for a reason that is Argosy's")
SHARD_VIEW_FAILED: Final = event(
    "shard.view_failed", "The view of a graph failed, and is built anew when it is asked again"
)
SHARD_VECTORS_UNFILLED: Final = event("shard.vectors_unfilled", "Vectors of a graph could not be made")
SETTINGS_WITHOUT_USE: Final = event("settings.without_use", "Names of settings that have no use yet")
TASK_FAILED: Final = event("task.failed", "A task failed, and goes on")
CALL_REFUSED: Final = event(
    "call.refused", "A call between processes was refused, for want of a signature for instance"
)
GRPC_CLEAR_TEXT: Final = event("grpc.clear_text", "Other machines reach this server without TLS")
TLS_FILES_TAKEN: Final = event("tls.files_taken", "New TLS files are in use")
TLS_FILES_REFUSED: Final = event("tls.files_refused", "New TLS files cannot be used: the old ones are used on")
CALL_FAILED: Final = event("call.failed", "A call failed in a shard for a reason that is Argosy's")
