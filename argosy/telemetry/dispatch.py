"""What dispatch workers count: turns, partitions, flushes, and who watches them."""

from typing import Final

from argosy.telemetry.room import LATENCY_S, LONG_S, Room

# What a suspended turn may be waiting for.
WAITS_FOR: Final = ("signal", "ingest", "sleep", "retry", "shard", "several", "other")

_ROOM: Final = Room("Dispatch workers")

ACCEPTED = _ROOM.counter("argosy_turns_accepted", "Records that became turns")
ENDED = _ROOM.counter("argosy_turns_ended", "Turns that ended, by status", ["status"])
TURNS_WAITING_FOR_BUILD = _ROOM.gauge(
    "argosy_turns_waiting_for_build", "Turns of this owner that it cannot run, and that no other worker runs for it"
)
TURNS_LENT = _ROOM.gauge(
    "argosy_turns_lent", "Turns of this owner that another worker runs, because it has their build"
)
TURNS_BORROWED = _ROOM.gauge("argosy_turns_borrowed", "Turns of other owners that this worker runs")
PARKED = _ROOM.counter("argosy_turns_parked", "Turns that were parked, by reason", ["reason"])
CLEANUPS = _ROOM.counter(
    "argosy_cleanups", "Clean-ups of cancelled turns that were done, failed or cut off", ["outcome"]
)
SUSPECTS = _ROOM.gauge("argosy_suspects", "Turns that may be the cause of workers' crashes, by what they do", ["state"])
TRIALS = _ROOM.gauge("argosy_trials", "Groups of suspects on trial: 0 or 1")
TRIALS_ENDED = _ROOM.counter("argosy_trials_ended", "Trials of groups of suspects in which no worker died", ["outcome"])
RECORDS_UNSIGNED = _ROOM.counter(
    "argosy_records_unsigned", "Records without a MAC that were taken (LOG_RECORDS=signing)"
)
DEAD_LETTERS = _ROOM.counter(
    "argosy_dead_letters", "Records that cannot become turns and are kept, by reason", ["code"]
)
TURN_LOG_S = _ROOM.seconds(
    "argosy_turn_log_seconds",
    "Time from when a turn's id was made, at its gateway, until it was accepted; turns that others started not counted",
    buckets=LONG_S,
)
TURN_QUEUED_S = _ROOM.seconds(
    "argosy_turn_queued_seconds",
    "Time from when a turn was accepted, or fell due, until it began for the first time",
    buckets=LONG_S,
)
TURN_SUSPENDED_S = _ROOM.seconds(
    "argosy_turn_suspended_seconds",
    "Time that a turn was suspended until it went on, by what it waited for; shard: for one that did not answer",
    "waits_for",
    WAITS_FOR,
    buckets=LONG_S,
)
TURN_S = _ROOM.seconds(
    "argosy_turn_seconds",
    "Time from when a turn's id was made, at its gateway, or from when it fell due, until its end was durable; "
    "waited: whether it was ever suspended",
    "waited",
    ("no", "yes"),
    buckets=LONG_S,
)
SLOTS = _ROOM.gauge("argosy_slots", "Slots of this worker (DISPATCH_SLOTS)")
RUNNING = _ROOM.gauge("argosy_turns_running", "Turns that hold a slot")
READY_SESSIONS = _ROOM.gauge("argosy_ready_sessions", "Sessions whose head could run and waits for a slot")
PARTITIONS_OWNED = _ROOM.gauge("argosy_partitions_owned", "Partitions that this worker owns")
PARTITION_LAG = _ROOM.gauge("argosy_partition_lag", "Records not accepted yet", ["partition"])
PARTITION_EPOCH = _ROOM.gauge(
    "argosy_partition_epoch", "Epoch of this worker's claim, without its lineage", ["partition"]
)
PARTITION_READY_SESSIONS = _ROOM.gauge(
    "argosy_partition_ready_sessions", "Sessions whose head could run and waits for a slot", ["partition"]
)
PARTITION_OLDEST_TURN_S = _ROOM.gauge(
    "argosy_partition_oldest_turn_seconds",
    "Age of the oldest turn that runs or could run; 0: there is none",
    ["partition"],
)
PARTITION_OLDEST_WAITING_TURN_S = _ROOM.gauge(
    "argosy_partition_oldest_waiting_turn_seconds",
    "Age of the oldest turn that is suspended or parked; 0: there is none",
    ["partition"],
)
CLAIMS = _ROOM.counter("argosy_claims", "Partitions claimed")
ADOPTIONS = _ROOM.counter("argosy_adoptions", "Partitions taken over from an owner that died")
HANDOVERS = _ROOM.counter("argosy_handovers", "Partitions handed over between living workers, by outcome", ["outcome"])
REBALANCES = _ROOM.counter("argosy_rebalances", "Changes of the partitions that the log lets this worker read")
FENCES_REFUSED = _ROOM.counter("argosy_fences_refused", "Partitions whose fence did not hold in a flush")
TURNS_REFUSED = _ROOM.counter("argosy_turns_refused", "Turns that were not as a flush expected them")
LOGS_REPLACED = _ROOM.counter("argosy_log_replaced", "Times the log was found to be another one, or to lack records")
GAPS = _ROOM.counter("argosy_log_gaps", "Batches that did not begin at the position of their partition")
FLUSHES = _ROOM.counter("argosy_flushes", "Flushes, by stream", ["stream"])
FLUSHES_REPEATED = _ROOM.counter("argosy_flushes_repeated", "Flushes sent again after an unknown outcome", ["stream"])
FLUSH_TURNS = _ROOM.histogram(
    "argosy_flush_turns", "Turns in one flush", ["stream"], buckets=(1, 2, 5, 10, 25, 50, 100, 200, 400, 1000)
)
FLUSH_S = _ROOM.histogram("argosy_flush_seconds", "Time of one flush", ["stream"])
THREADS_ABANDONED = _ROOM.gauge(
    "argosy_threads_abandoned", "Threads whose call was given up and goes on, by kind: step or workflow", ["kind"]
)
THREADS_WAITED_FOR = _ROOM.gauge(
    "argosy_threads_waited_for", "Calls that wait for a thread, by kind: step or workflow", ["kind"]
)
STEPS = _ROOM.steps(
    ("argosy_steps", "Tries of steps, by outcome"),
    ("argosy_step_seconds", "Time of one try of a step"),
    (*LATENCY_S, 60, 300, 1800),
)
INBOX = _ROOM.counter("argosy_inbox_rows", "Inbox rows taken, by kind and what became of them", ["kind", "outcome"])
POKES = _ROOM.counter("argosy_pokes", "Pokes received")
WATCH_STREAMS = _ROOM.gauge(
    "argosy_watch_streams", "Gateway processes that are connected to this worker, for live events"
)
WATCH_SUBSCRIPTIONS = _ROOM.gauge("argosy_watch_subscriptions", "Turns and sessions that gateways follow here")
WATCH_LOOKS = _ROOM.counter("argosy_watch_looks", "Durable events that a gateway was told to read in Postgres")
FRAMES = _ROOM.counter("argosy_frames", "Frames sent to gateways")
FLUSHES_SPLIT = _ROOM.counter("argosy_flushes_split", "Flushes that were sent in parts, by reason", ["stream", "why"])
TURNS_UNWRITABLE = _ROOM.counter("argosy_turns_unwritable", "Turns of which Postgres refuses even that they are parked")
LOOP_LAG_S = _ROOM.gauge("argosy_loop_lag_seconds", "How late the event loop was at the last look")
