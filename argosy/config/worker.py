"""A dispatch worker, and what processes ask of each other."""

from typing import Literal

from pydantic import BaseModel, Field

from argosy.config.kinds import Host, Seconds, Secret


class Worker(BaseModel):
    """See argosy.config.Settings."""

    agent_dispatch_backend: Literal["inline", "queue"] = Field(
        default="inline",
        description="inline: `argosy up` and `argosy gateway` bring a worker; queue: workers are started apart.",
    )
    lane: str = Field(
        default="default",
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="The pool of workers that this process belongs to.",
    )
    dispatch_slots: int = Field(default=256, ge=1, le=100_000, description="Turns that one worker runs at once.")
    dispatch_threads: int = Field(default=32, ge=1, le=1_000, description="Threads for synchronous steps.")
    dispatch_threads_abandoned_max: int = Field(
        default=256,
        ge=0,
        le=10_000,
        description="Threads held by steps that were given up, and likewise by workflows, that are replaced by others.",
    )
    ready_sessions_max: int = Field(
        default=10_000, ge=10, le=1_000_000, description="Ready sessions at which a worker stops reading the log."
    )
    look_ahead_turns: int = Field(
        default=8, ge=0, le=1_000, description="Turns of one session that memory holds behind its head."
    )
    head_input_size_bytes_max: int = Field(
        default=4_096, ge=0, le=1_048_576, description="A larger input is read again when its turn starts."
    )
    reconcile_interval_s: float = Field(
        default=1.0, gt=0, le=60, description="How often ownership is compared with eligibility."
    )
    inbox_interval_s: float = Field(
        default=1.0, gt=0, le=60, description="How often the inbox is read when nobody pokes."
    )
    inbox_rows_max: int = Field(
        default=2_000,
        ge=10,
        le=100_000,
        description="Due rows of a kind (cancels, deadlines, signals, timers) that wait at a worker for slot or flush.",
    )
    inbox_size_bytes_max: int = Field(
        default=8_388_608,
        ge=65_536,
        le=1_073_741_824,
        description="Payloads of signals that one read of the inbox brings; one more may pass it.",
    )
    start_rows_max: int = Field(
        default=400,
        ge=1,
        le=10_000,
        description="Turns that other turns started of which one accept takes so many at the most.",
    )
    heartbeat_interval_s: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="How often a worker says that it lives; of many, each more rarely: up to HEARTBEAT_TTL_S / 4.",
    )
    heartbeat_ttl_s: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="A worker not heard of for longer is taken for dead: the living share what it owns.",
    )
    worker_forget_s: float = Field(
        default=86_400.0, ge=600, le=31_536_000, description="What is kept of a worker that died is removed after this."
    )
    drain_timeout_s: float = Field(
        default=20.0,
        ge=0,
        le=3_600,
        description="How long SIGTERM lets running turns go on when no other worker is there to take over.",
    )
    drain_write_s: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="How long a worker that ends waits for Postgres to take what it still has to write.",
    )
    handover_s: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="How long steps in flight may go on at an owner that hands their partition over.",
    )
    cancel_cleanup_s: float = Field(
        default=30.0,
        ge=0.1,
        le=3_600,
        description="A cancelled turn whose code has begun waits so long for a slot, and then has so long to clean up.",
    )
    build_wait_s: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="A turn is parked when no worker of its lane has had its workflow or version for so long.",
    )
    lent_turns_max: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Turns that one owner lets others run at once, because it lacks their workflow or version.",
    )
    lent_waiting_max: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Turns that wait in an owner's memory for a worker with their build; others wait in Postgres.",
    )
    handover_note_s: float = Field(
        default=5.0,
        gt=0,
        le=300,
        description="How long a new owner waits for what a living former one leaves, before it runs turns again.",
    )
    partition_measure_s: float = Field(
        default=15.0,
        gt=0,
        le=3_600,
        description="How often a worker asks Postgres for the age of the oldest turn of each of its partitions.",
    )
    suspect_watch_s_max: float = Field(
        default=120.0,
        ge=2,
        le=3_600,
        description="Turns that may be what ends workers are tried for so long at the most, while others of them wait.",
    )
    owner_lost_s: float = Field(
        default=30.0,
        gt=0,
        le=3_600,
        description="After this without an answer from Postgres a worker starts nothing and leaves the group.",
    )
    loop_stuck_s: float = Field(
        default=120.0,
        ge=2,
        le=3_600,
        description="A worker whose event loop is stuck for longer is ended.",
    )
    step_timeout_s_max: float = Field(default=86_400.0, gt=0, le=604_800, description="Longest timeout_s of a step.")
    events_per_turn_max: int = Field(
        default=50_000, ge=10, le=1_000_000, description="Durable events of one turn; then it fails."
    )
    workflow_callbacks_max: int = Field(
        default=1_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="Callbacks and steps of tasks that a workflow may run from one outcome to the next; then its turn "
        "fails, because a loop of it awaits nothing durable.",
    )
    load_size_bytes_max: int = Field(
        default=8_388_608,
        ge=65_536,
        le=268_435_456,
        description="Data of the turns whose histories one read brings; a larger one is read alone, page by page.",
    )
    loaded_size_bytes_max: int = Field(
        default=536_870_912,
        ge=65_536,
        le=68_719_476_736,
        description="Data of the histories of a worker's running turns at which those wait that are larger than "
        "LOAD_SIZE_BYTES_MAX.",
    )
    history_size_bytes_max: int = Field(
        default=134_217_728,
        ge=65_536,
        le=536_870_912,
        description="Data of the durable events of one turn; then it fails. With its unread signals it is parked when "
        "it has more than that and cannot be read.",
    )
    emit_size_bytes_max: int = Field(
        default=65_536, ge=1_024, le=1_048_576, description="Bound of what one emit shows; a step error."
    )
    channels_size_bytes_max: int = Field(
        default=1_048_576,
        ge=1_024,
        le=67_108_864,
        description="Bound of all that a turn has emitted and no event of a step holds yet; each channel's value has "
        "PAYLOAD_SIZE_BYTES_MAX.",
    )
    channels_per_turn_max: int = Field(
        default=256, ge=1, le=10_000, description="Channels that a turn fills at once, of all its steps."
    )
    grpc_host: Host = Field(default="127.0.0.1", description="Address that a worker's gRPC server binds and announces.")
    grpc_port: int = Field(default=0, ge=0, le=65_535, description="Port of a worker's gRPC server; 0: a free one.")
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Port of a process's /healthz, /readyz and /metrics; 0: a free one. Processes of a gateway have "
        "one each, from there on (beside an inline worker from the next one on); with 0 none when it is one process.",
    )
    metrics_host: Host = Field(
        default="127.0.0.1", description="Address of a process's /healthz, /readyz and /metrics at METRICS_PORT."
    )
    watch_coalesce_ms: float = Field(
        default=30.0, ge=5, le=1_000, description="Emits within so long are sent together, milliseconds."
    )
    event_result_size_bytes_max: int = Field(
        default=65_536,
        ge=0,
        le=8_388_608,
        description="Largest result that turn.completed carries to clients; of a larger one its size and a link.",
    )
    watch_subscriptions_max: int = Field(
        default=50_000, ge=1, le=10_000_000, description="Turns and sessions that gateways follow at one worker."
    )
    rpc_silent_calls_max: int = Field(
        default=256,
        ge=4,
        le=100_000,
        description="Calls to one worker that say nothing after their proof; one too many ends the oldest.",
    )
    rpc_silent_s: Seconds = Field(
        default=5.0, description="A call that says nothing for longer after its proof is ended."
    )
    watch_streams_max: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Gateway processes that are connected to one worker at once; so many processes may poke it.",
    )
    watch_buffer_size_bytes_max: int = Field(
        default=8_388_608,
        ge=65_536,
        le=1_073_741_824,
        description="What may wait at a worker for one gateway process that does not read.",
    )
    graph_service_auth_secret_previous: Secret = Field(
        default="",
        description="Another secret, with which calls, records in the log, cursors and ids of events may have been "
        "made: they are taken, and none is made with it. The one before, or the one to come.",
    )
    graph_service_auth_secret: Secret = Field(
        default="",
        description="Secret of all processes, 32 characters or more, that signs internal calls and page cursors; "
        "empty: minted once in the data folder.",
    )
