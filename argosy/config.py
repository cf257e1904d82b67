"""Every setting, in one place: its name, default, unit, bounds and meaning.

`load` takes a setting from the command line, else from the environment, else from `.env`, else from
`~/.config/argosy/config.json` (ARGOSY_CONFIG_DIR names another folder), else its default below. In config.json names
may be written in lower case. A bad value, an unknown ARGOSY_ name or two settings that contradict each other raise
SettingError with one line that names them.

The value of a secret setting (`Secret`) may be kept in a file: NAME_FILE, in any of these places, replaces NAME. No
message and no repr shows the value of a secret.
"""

import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from argosy.address import bare_host, shard_target
from argosy.ambient import is_of_others
from argosy.errors import SettingError
from argosy.secret import SECRET_LENGTH_MIN
from argosy.secret_files import SUFFIX, InFile, read_secret

_LEVELS: Final = {"warn": "warning", "critical": "error", "fatal": "error", "notset": "debug", "trace": "debug"}


def _level(value: Any) -> Any:
    """Return the name of a log level as `log_level` has it: in lower case, common other names replaced."""
    if not isinstance(value, str):
        return value
    lower = value.strip().lower()
    return _LEVELS.get(lower, lower)


def _split(value: Any) -> Any:
    """Split the value of a list setting, which is a JSON list or a comma-separated string."""
    if isinstance(value, str):
        value = value.strip()
        if value.startswith("["):
            return json.loads(value)
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


StringList = Annotated[tuple[str, ...], BeforeValidator(_split)]
Endpoints = Annotated[tuple[Annotated[str, AfterValidator(shard_target)], ...], BeforeValidator(_split)]
Host = Annotated[str, AfterValidator(bare_host)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
_SECRET: Final = {"secret": True}
# A worker learns of a heartbeat's answer up to 0.25 s after it came, and gives partitions up 0.75 s before its session
# ends (logs/word.py).
_HEARD_WITHIN_MS: Final = 1_200
# What the end of a worker takes beside its waiting: leaving the group, closing connections, exit handlers of users.
_LETTING_GO_S: Final = 10.0
Secret = Annotated[str, Field(repr=False, json_schema_extra=_SECRET)]

# Names of the shared configuration that this version does not read. Those that are set are logged at start.
LADDER_NAMES_WITHOUT_USE: Final = frozenset(
    {
        "ACTION_POLICY_PATH", "AUTH_JWT_AUDIENCE", "AUTH_JWT_ISSUER", "AUTH_JWT_JWKS_URI", "DEPLOY_WATCH_POLL",
        "DEPLOY_WATCH_WINDOW", "EPISTEMIC_GRAPH_AUTOSTART",
        "EVOLUTION_WORKTREE_ROOT", "FLEET_ACTUATOR", "FLEET_AUTOSCALER", "FLEET_AUTOSCALER_INTERVAL",
        "FLEET_DESIRED_STATE_PATH", "FLEET_EVENTS_TOKEN", "FLEET_RECONCILER", "FLEET_RECONCILER_INTERVAL",
        "FLEET_RECONCILER_MAX_ACTIONS", "FLEET_REGISTRY_PATH", "GRAPH_BACKEND", "GRAPH_BACKEND_L1", "GRAPH_BACKEND_L2",
        "GRAPH_DB_URI", "KG_ACL_DEFAULT_ALLOW", "KG_AUTH_REQUIRED", "KG_AUTH_TOKEN",
        "KG_BRAIN_ENFORCE", "KG_DAEMON_ROLE", "KG_DEFAULT_GRAPH", "KG_DEV_MODE", "KG_ENGINE_INSECURE",
        "KG_FAILURE_EVOLUTION", "KG_FAILURE_EVOLUTION_INTERVAL", "KG_FAILURE_EVOLUTION_WINDOW",
        "KG_FAILURE_REGRESSION_DATASET", "KG_GOLDEN_AUTO_MERGE", "KG_LOOP", "KG_LOOP_BREADTH", "KG_LOOP_DISTILL",
        "KG_LOOP_INTERVAL", "KG_LOOP_STANDARDIZE", "KG_LOOP_TOPICS", "KG_TASKS_PARTITIONS", "LANGFUSE_HOST",
        "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "SCALING_PROMETHEUS_URL",
    }
)  # fmt: skip

# ARGOSY_ names that are no settings: `load` reads them to find the settings.
BOOTSTRAP_NAMES: Final = frozenset({"ARGOSY_CONFIG_DIR"})


def config_dir(environ: Mapping[str, str]) -> Path | None:
    """Return the folder in which `load` looks for config.json, or None when this user has no home."""
    if configured := environ.get("ARGOSY_CONFIG_DIR"):
        return Path(configured)
    if configured := environ.get("XDG_CONFIG_HOME"):
        return Path(configured) / "argosy"
    home = _home()
    return None if home is None else home / ".config" / "argosy"


def default_data_dir() -> Path:
    """Return the folder for data: XDG's data folder, or /var/lib/argosy for root and for users without a home.

    Under root Postgres runs with another uid, which must be able to enter the folder; root's home is closed to it.
    """
    home = _home()
    if home is None or (os.name == "posix" and os.geteuid() == 0):
        return Path("/var/lib/argosy")
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "argosy"


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # HOME is not set, and the uid has no name
        return None


class Settings(BaseSettings):
    """The settings of a process: frozen, and made once, by `load`."""

    model_config = SettingsConfigDict(
        case_sensitive=False, extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    # Where things are
    argosy_data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Data of the embedded Postgres, the broker, the graphs and the shared secret.",
    )
    argosy_workflows: StringList = Field(
        default=(),
        description="Files or modules with the workflows that workers run, beside the ones that ship with Argosy.",
    )
    argosy_crash_at: str = Field(
        default="", description="Tests only: kill this process at a named point of the journey."
    )
    argosy_build: str = Field(
        default="", max_length=64, description="Name of the build that workers announce; empty: Argosy's version."
    )

    argosy_ready_s: Seconds = Field(
        default=60.0, description="How long `argosy up` and `argosy.Argosy` wait until what they start is ready."
    )

    # Truth
    state_db_uri: Secret = Field(
        default="", description="Postgres that holds the truth; empty: an embedded one, for `argosy up`."
    )
    state_db_pool_size: int = Field(
        default=8,
        ge=2,
        le=200,
        description="Connections of one process for reading (two more of a worker are for writing).",
    )
    state_db_timeout_s: Seconds = Field(default=10.0, description="Bound of one read.")
    state_db_idle_s: float = Field(
        default=300.0,
        ge=1,
        le=86_400,
        description="A connection for reading that is idle for so long is closed.",
    )
    flush_rows_max: int = Field(default=400, ge=1, le=10_000, description="Turns that one flush writes at the most.")
    flush_size_bytes_max: int = Field(
        default=8_388_608,
        ge=65_536,
        le=268_435_456,
        description="Data that one flush writes, beyond its first event; a turn that has more is written in parts.",
    )
    flush_wait_ms: float = Field(
        default=3.0, ge=0, le=1_000, description="For how long a busy flush collects, milliseconds."
    )
    flush_queue_max: int = Field(
        default=20_000, ge=100, le=1_000_000, description="Turns waiting to be flushed at which workers start no more."
    )
    flush_queue_size_bytes_max: int = Field(
        default=67_108_864,
        ge=65_536,
        le=4_294_967_296,
        description="Data waiting to be flushed at which workers start no more turns and steps.",
    )
    flush_timeout_s: Seconds = Field(
        default=10.0, description="After this a flush's outcome is unknown and it is sent again."
    )

    # Log
    task_queue_backend: Literal["", "kafka", "postgres"] = Field(
        default="", description="The log; empty: Kafka when KAFKA_BOOTSTRAP_SERVERS is set, else Postgres."
    )
    kafka_bootstrap_servers: str = Field(default="", description="Kafka brokers, host:port, comma-separated.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to talk to the brokers."
    )
    kafka_sasl_mechanism: str = Field(default="", description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.")
    kafka_sasl_username: str = Field(default="", description="SASL user.")
    kafka_sasl_password: Secret = Field(default="", description="SASL password.")
    kafka_ssl_ca_location: str = Field(default="", description="File of the CA that signed the brokers' certificates.")
    kafka_ssl_certificate_location: str = Field(default="", description="Client certificate (mTLS).")
    kafka_ssl_key_location: str = Field(default="", description="Client key (mTLS).")
    kafka_group: str = Field(
        default="agent-dispatch",
        min_length=1,
        max_length=200,
        description="Consumer group of the dispatch workers; the lane is appended.",
    )
    kafka_group_session_timeout_ms: int = Field(
        default=6_000,
        ge=1_250,
        le=600_000,
        description="A worker that the brokers do not hear of for so long is out of the group; brokers bound this.",
    )
    kafka_group_heartbeat_ms: int = Field(
        default=200, ge=50, le=60_000, description="How often the brokers hear of a worker, milliseconds."
    )
    kafka_topic_prefix: str = Field(
        default="turns", pattern=r"^[A-Za-z0-9._-]{1,180}$", description="Topic of a lane: PREFIX.LANE."
    )
    kafka_topic_visible_s: float = Field(
        default=10.0,
        ge=0.1,
        le=60.0,
        description="For how long a process that begins to use a topic asks again while brokers do not know it.",
    )
    kafka_replication: int = Field(
        default=0,
        ge=0,
        le=9,
        description="Replicas of a topic that `argosy topics` creates; 0: 3, or as many as there are brokers.",
    )
    kafka_linger_ms: float = Field(
        default=1.0,
        ge=0,
        le=1_000,
        description="How long a gateway collects appends while others are in flight, milliseconds.",
    )
    agent_turns_partitions: int = Field(
        default=64, ge=1, le=1024, description="Partitions of a lane's topic, fixed when it is made."
    )
    log_append_timeout_s: Seconds = Field(default=15.0, description="After this an append's outcome is unknown: 504.")
    log_queue_max: int = Field(
        default=20_000, ge=100, le=1_000_000, description="Appends in flight at which a gateway answers 503."
    )
    log_queue_size_bytes_max: int = Field(
        default=134_217_728,
        ge=1_048_576,
        le=2_147_482_624,
        description="Data of appends in flight at which a gateway answers 503.",
    )
    log_read_ahead_size_bytes_max: int = Field(
        default=16_777_216,
        ge=1_048_576,
        le=2_147_482_624,
        description="Kafka: data of records that a worker has fetched and not taken at which it fetches no more.",
    )
    log_batch_max: int = Field(default=400, ge=1, le=10_000, description="Records that one accept takes at the most.")
    log_batch_size_bytes_max: int = Field(
        default=8_388_608,
        ge=65_536,
        le=268_435_456,
        description="Data of records that one accept, and one fetch of the Postgres log, takes beyond its last record.",
    )
    log_poll_s: float = Field(
        default=0.25, gt=0, le=10, description="The Postgres log: an idle reader looks this often when nobody wakes it."
    )
    log_lease_ttl_s: float = Field(
        default=6.0,
        ge=1,
        le=300,
        description="The Postgres log: a member that has not been seen for this long is not eligible.",
    )

    # Gateway
    host: Host = Field(default="127.0.0.1", description="Address that the gateway binds.")
    port: int = Field(default=9000, ge=0, le=65_535, description="Port that the gateway binds; 0: a free one.")
    gateway_workers: int = Field(default=1, ge=1, le=64, description="Gateway processes on the one socket.")
    gateway_metrics: bool = Field(default=True, description="Serve /metrics on the gateway.")
    gateway_rate_limit: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="Turns per second of one tenant through one gateway process; 0: no limit.",
    )
    gateway_rate_burst: float = Field(
        default=0.0, ge=0, le=10_000_000, description="Turns at once above the rate; 0: twice the rate."
    )
    gateway_signal_rate_limit: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="Signals, cancels and resumes per second of one tenant through one gateway process; 0: no limit.",
    )
    gateway_signal_rate_burst: float = Field(
        default=0.0,
        ge=0,
        le=10_000_000,
        description="Signals, cancels and resumes at once above the rate; 0: twice the rate.",
    )
    gateway_allow_remote: bool = Field(
        default=False, description="Bind other addresses than loopback although nobody is authenticated."
    )
    gateway_hosts: StringList = Field(
        default=(),
        description="Further names, host or host:port, under which browsers and clients reach the gateway.",
    )
    gateway_cache_s: float = Field(
        default=2.0, gt=0, le=60, description="Age at which the cache of workflows and owners is read again."
    )
    gateway_lag_max_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="Answer 503 when appends, or accepting from the log, are further behind (idle: 6 s); 0: never.",
    )
    allow_tenant_header: bool = Field(default=False, description="Believe X-Argosy-Tenant: for trusted callers only.")
    payload_size_bytes_max: int = Field(
        default=262_144,
        ge=1_024,
        le=8_388_608,
        description="Bound of one input, result or signal; 413 or a step error.",
    )
    signals_unread_max: int = Field(
        default=1_000, ge=1, le=100_000, description="Signals of one turn that it has not taken; then 429."
    )
    signals_unread_size_bytes_max: int = Field(
        default=8_388_608,
        ge=1_024,
        le=268_435_456,
        description="Bytes of the signals of one turn that it has not taken; then 429.",
    )
    batch_size_bytes_max: int = Field(
        default=33_554_432, ge=1_024, le=1_073_741_824, description="Bound of the body of one batch."
    )
    batch_turns_max: int = Field(default=5_000, ge=1, le=100_000, description="Lines of one batch at the most.")
    wait_s_max: float = Field(default=60.0, ge=0, le=600, description="Longest `Prefer: wait`.")
    gateway_connections_max: int = Field(
        default=20_000,
        ge=16,
        le=1_000_000,
        description="Connections open at one gateway process, if so many files may be; then the longest idle one goes.",
    )
    gateway_head_size_bytes_max: int = Field(
        default=32_768, ge=4_096, le=1_048_576, description="Bound of a request's address and header fields; 431."
    )
    gateway_head_fields_max: int = Field(
        default=100, ge=16, le=10_000, description="Header fields of a request at the most; 431."
    )
    gateway_head_timeout_s: Seconds = Field(
        default=10.0, description="After this a connection without a whole head of a request is closed; 408."
    )
    gateway_pipeline_max: int = Field(
        default=8, ge=0, le=1_000, description="Requests that may wait on a connection behind the one being answered."
    )
    gateway_write_timeout_s: Seconds = Field(
        default=60.0, description="A client that does not read what waits for it is cut off after this."
    )
    gateway_body_timeout_s: Seconds = Field(
        default=60.0, description="The body of a request comes within this, or is answered 408."
    )
    gateway_connections_refused_max: int = Field(
        default=64,
        ge=0,
        le=10_000,
        description="Connections beyond GATEWAY_CONNECTIONS_MAX that are told so (503), at once; others are cut off.",
    )
    gateway_keep_alive_s: int = Field(
        default=75,
        ge=1,
        le=3_600,
        description="An idle connection is closed after this. Longer than clients and proxies keep one: the side that "
        "sends requests must be the one that closes it.",
    )
    gateway_key_lookup_s: float = Field(
        default=0.25,
        gt=0,
        le=60,
        description="How long a gateway looks for the turn that an idempotency key was used for; without an answer the "
        "turn's owner finds it.",
    )
    gateway_stop_s: float = Field(
        default=20.0,
        ge=2,
        le=3_600,
        description="How long a gateway may take to end when its parent is gone; requests have half of that.",
    )
    gateway_tenants_max: int = Field(
        default=10_000,
        ge=1,
        le=10_000_000,
        description="Tenants that the limits of rates remember, before those who have used nothing are forgotten.",
    )
    gateway_streams_max: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Event streams open at one gateway process; then 503."
    )
    gateway_tenant_exports_max: int = Field(
        default=2, ge=1, le=1_000, description="Exports of graphs of one tenant at once; one more is refused."
    )
    gateway_tenant_streams_max: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Event streams of one tenant open at one gateway process; then 503.",
    )
    sse_heartbeat_s: float = Field(
        default=15.0, gt=0, le=20, description="An event stream that has nothing to tell says so this often."
    )
    stream_credit_size_bytes: int = Field(
        default=65_536,
        ge=4_096,
        le=16_777_216,
        description="What a worker may send for one client before that has taken it.",
    )
    page_size_max: int = Field(default=200, ge=1, le=1_000, description="Rows of one page of a list.")
    events_page_size_max: int = Field(
        default=1_000, ge=1, le=10_000, description="Events of one page of a turn's events, by default, too."
    )
    answer_steps_max: int = Field(
        default=2_000, ge=1, le=50_000, description="Events of steps that the answer for one turn shows."
    )
    answer_size_bytes_max: int = Field(
        default=4_194_304,
        ge=65_536,
        le=134_217_728,
        description="Data of events in one answer; the event that passes this is the last.",
    )

    # Dispatch worker
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
        default=0, ge=0, le=65_535, description="Port of a worker's /healthz, /readyz and /metrics; 0: a free one."
    )
    metrics_host: Host = Field(default="127.0.0.1", description="Address of a worker's /healthz, /readyz and /metrics.")
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
    graph_service_auth_secret: Secret = Field(
        default="",
        description="Secret of all processes, 32 characters or more, that signs internal calls and page cursors; "
        "empty: minted once in the data folder.",
    )
    # Graph shards
    shard_dir: str = Field(
        default="", description="Folder of a shard's graphs, which one process has; empty: `shard` in the data folder."
    )
    shard_host: Host = Field(default="127.0.0.1", description="Address that a shard binds.")
    shard_port: int = Field(default=9010, ge=0, le=65_535, description="Port that a shard binds; 0: a free one.")
    shard_socket: str = Field(
        default="", description="Path of a Unix socket that a shard binds instead of an address and port."
    )
    shard_allow_remote: bool = Field(
        default=False,
        description="Let a shard without TLS bind an address that is not loopback, where the network is trusted.",
    )
    shard_tls_cert: str = Field(
        default="", description="File (PEM) with the certificate that a shard serves TLS with, and that callers show."
    )
    shard_tls_key: str = Field(default="", description="File (PEM) with the key of that certificate.")
    shard_tls_ca: str = Field(
        default="",
        description="File (PEM) with the CA of shards' certificates: callers speak TLS. At a shard: of its callers', "
        "which it then asks for a certificate.",
    )
    shard_calls_max: int = Field(
        default=256, ge=1, le=100_000, description="Calls to a shard at once; one more is refused."
    )
    shard_call_age_max_s: Seconds = Field(
        default=60.0,
        description="How long a shard takes a signed call for, and how far a caller's clock may be from its own before "
        "the caller has to sign again.",
    )
    shard_message_size_bytes_max: int = Field(
        default=33_554_432,
        ge=2_097_152,
        le=1_073_741_824,
        description="Largest message to and from a shard; what has more comes in several, where it can.",
    )
    shard_stop_s: Seconds = Field(
        default=10.0, description="How long a shard that is told to end writes what waits to be written."
    )
    shard_write_threads: int = Field(
        default=2, ge=1, le=64, description="Graphs of one shard that are written to at once."
    )
    shard_graph_queue_max: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Batches that wait to be written to one graph; one more is refused.",
    )
    shard_graph_queue_size_bytes_max: int = Field(
        default=67_108_864,
        ge=1_048_576,
        le=4_294_967_296,
        description="Memory of the batches that wait to be written to one graph; what does not fit is refused.",
    )
    shard_queue_size_bytes_max: int = Field(
        default=268_435_456,
        ge=1_048_576,
        le=68_719_476_736,
        description="Memory of all batches that wait to be written by one shard; what does not fit is refused.",
    )
    shard_read_threads: int = Field(
        default=2, ge=1, le=64, description="Reads of one shard at once, but for the quick ones, which need no thread."
    )
    shard_read_queue_max: int = Field(
        default=256, ge=0, le=100_000, description="Reads that wait for a thread of a shard; one more is refused."
    )
    shard_streams_max: int = Field(
        default=4, ge=1, le=64, description="Bulk loads, exports and imports of one shard at once; one more is refused."
    )
    shard_views_max: int = Field(
        default=16, ge=1, le=1_000, description="Graphs of one shard that are ready for Cypher; each has a process."
    )
    shard_views_size_bytes_max: int = Field(
        default=2_147_483_648,
        ge=67_108_864,
        le=1_099_511_627_776,
        description="Memory of all views of a shard above which the one that was not used for longest goes.",
    )
    shard_view_size_bytes_max: int = Field(
        default=1_073_741_824,
        ge=67_108_864,
        le=1_099_511_627_776,
        description="Memory of one view above which it ends: a larger graph cannot be asked in Cypher.",
    )
    shard_view_queries_max: int = Field(
        default=4, ge=1, le=64, description="Queries that one view answers at once; others wait for them."
    )
    shard_view_behind_size_bytes_max: int = Field(
        default=67_108_864,
        ge=1_048_576,
        le=4_294_967_296,
        description="Memory of the batches that a view has not taken in yet above which it is built anew.",
    )
    shard_view_build_s: Seconds = Field(
        default=120.0, description="A graph whose view is not built within this has none, and is not asked in Cypher."
    )
    shard_graphs_open_max: int = Field(
        default=2_000, ge=8, le=1_000_000, description="Graphs whose files a shard keeps open, if so many files may be."
    )
    shard_cache_size_bytes_max: int = Field(
        default=134_217_728,
        ge=16_777_216,
        le=1_099_511_627_776,
        description="Memory for the pages of open graphs above which those that were not used for longest are closed.",
    )
    shard_vectors_size_bytes_max: int = Field(
        default=268_435_456,
        ge=1_048_576,
        le=1_099_511_627_776,
        description="Memory for the vectors of a shard's graphs above which those that were not asked for longest go. "
        "What has no room is read from the files at every search.",
    )
    graph_key_horizon_s: float = Field(
        default=604_800.0,
        ge=60,
        le=31_536_000,
        description="Keys of batches are known for so long; a batch with an older key is refused.",
    )
    graph_rows_max: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Ids that one call names, and rows of its answer."
    )
    graph_answer_size_bytes_max: int = Field(
        default=16_777_216, ge=1_048_576, le=1_073_741_824, description="Data of one answer about a graph."
    )
    graph_query_size_bytes_max: int = Field(
        default=65_536, ge=1_024, le=1_048_576, description="A query in Cypher; its parameters as JSON likewise."
    )
    graph_batch_size_bytes_max: int = Field(
        default=16_777_216, ge=1_048_576, le=67_108_864, description="Operations of one batch, as JSON."
    )

    # Graphs, as processes ask for them
    graph_service_endpoints: Endpoints = Field(
        default=(),
        description="Shards, tcp://host:port or unix:/path, as a list with commas or in JSON. They become the members "
        "once, when there are none; from then on the database has them.",
    )
    graph_timeout_s: Seconds = Field(
        default=10.0, description="How long a call about a graph may take, with what is tried again, if nobody says."
    )
    graph_stream_timeout_s: Seconds = Field(
        default=600.0, description="How long an export of a graph through a gateway may take."
    )
    graph_cache_s: float = Field(
        default=5.0, gt=0, le=300, description="Age at which it is read again on which shard a graph is."
    )
    graph_cache_max: int = Field(
        default=10_000, ge=1, le=10_000_000, description="Graphs of which a process remembers on which shard they are."
    )
    graph_session_ttl_s: float = Field(
        default=0.0,
        ge=0,
        le=315_576_000,
        description="A session's own graph goes when no turn has written to it for so long; 0: with its session.",
    )
    graph_watch_s: float = Field(
        default=5.0, gt=0, le=300, description="How often a process looks whether every shard answers, and which are."
    )
    graph_retry_s_max: float = Field(
        default=60.0,
        ge=1,
        le=3_600,
        description="A turn whose graph's shard is away is tried again after this at the latest; sooner when a worker "
        "sees the shard again.",
    )
    graph_wakes_max: int = Field(
        default=500,
        ge=1,
        le=100_000,
        description="Turns per second that one worker lets go on once the shard that they wait for is back.",
    )
    embedder: str = Field(
        default="",
        description="Function that makes vectors of texts, module:function, for what workers write to graphs and for "
        "searches of workers and gateways; empty: none is made.",
    )
    embedder_vector: str = Field(
        default="text",
        pattern=r"^[A-Za-z0-9_.:/-]{1,128}$",
        description="Name of the vectors that EMBEDDER makes. Another model needs another name.",
    )
    embedder_timeout_s: Seconds = Field(
        default=30.0, description="How long one call of EMBEDDER may take, with its wait for others to end."
    )
    embedder_calls_max: int = Field(
        default=4, ge=1, le=1_000, description="Calls of EMBEDDER at once in one process; further ones wait."
    )
    embedder_texts_max: int = Field(default=64, ge=1, le=10_000, description="Texts that one call of EMBEDDER gets.")
    embedder_text_length_max: int = Field(
        default=8_000,
        ge=1,
        le=1_000_000,
        description="Characters of one text that EMBEDDER gets, cut off at its end: about as much as models take.",
    )
    engine_breaker_threshold: int = Field(
        default=5,
        ge=0,
        le=10_000,
        description="A shard that fails so often in a row is not asked for a while; 0: it is.",
    )
    engine_breaker_cooldown: float = Field(
        default=15.0,
        ge=0.1,
        le=3_600,
        description="How long a shard that fails is not asked, seconds; less when it answers who looks at it.",
    )

    # Maintenance
    trim_lag_s: float = Field(
        default=86_400.0,
        ge=0,
        le=31_536_000,
        description="What was accepted longer ago is deleted from the log: a backup must not be older than this.",
    )
    retention_s: float = Field(
        default=2_592_000.0,
        ge=0,
        le=3_153_600_000,
        description="Ended turns are forgotten after this, with their history and idempotency keys.",
    )
    retention_batch_max: int = Field(
        default=200, ge=1, le=10_000, description="Turns that are forgotten in one transaction."
    )
    snapshot_held_s: Seconds = Field(
        default=600.0,
        description="A transaction that keeps dead rows for longer is logged, whoever runs it (`store.snapshot_held`).",
    )
    maintenance_tick_s: float = Field(
        default=60.0, gt=0, le=86_400, description="How long a leader rests between two ticks."
    )
    maintenance_timeout_s: float = Field(
        default=120.0, gt=0, le=86_400, description="A leader whose tick takes longer resigns."
    )
    leader_silent_s: float = Field(
        default=30.0,
        ge=0.3,
        le=3_600,
        description="A leader that stopped, or whose connection hangs, is ended after this; another one leads.",
    )

    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_level)] = Field(
        default="info", description="Least severe log event that is printed."
    )
    log_format: Literal["console", "json"] = Field(default="console", description="How log events are printed.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @property
    def log_backend(self) -> Literal["kafka", "postgres"]:
        """The log that this fleet uses."""
        if self.task_queue_backend:
            return self.task_queue_backend
        return "kafka" if self.kafka_bootstrap_servers else "postgres"

    @property
    def stop_s(self) -> float:
        """How long a process of this fleet may take to end in order, once it is told to; who waits for it kills it
        then. A worker waits for its turns (alone in its lane) or for their steps (when others take over) and for
        Postgres, and lets go of the log and of its peers beside that.
        """
        worker_s = max(self.drain_timeout_s, self.handover_s) + self.drain_write_s
        return max(self.gateway_stop_s, self.shard_stop_s, worker_s) + _LETTING_GO_S

    @property
    def shard_folder(self) -> Path:
        return Path(self.shard_dir) if self.shard_dir else self.argosy_data_dir / "shard"

    @property
    def topic(self) -> str:
        return f"{self.kafka_topic_prefix}.{self.lane}"

    @model_validator(mode="after")
    def _no_contradiction(self) -> "Settings":
        if self.task_queue_backend == "kafka" and not self.kafka_bootstrap_servers:
            raise ValueError("TASK_QUEUE_BACKEND=kafka needs KAFKA_BOOTSTRAP_SERVERS")
        if self.task_queue_backend == "postgres" and self.kafka_bootstrap_servers:
            raise ValueError("TASK_QUEUE_BACKEND=postgres contradicts KAFKA_BOOTSTRAP_SERVERS: unset one of them")
        for host in self.gateway_hosts:
            if not re.fullmatch(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?", host):
                raise ValueError(f"GATEWAY_HOSTS has names as in a URL, host or host:port: {host!r} is none")
        if self.graph_service_auth_secret and len(self.graph_service_auth_secret.strip()) < SECRET_LENGTH_MIN:
            raise ValueError(
                f"GRAPH_SERVICE_AUTH_SECRET has less than {SECRET_LENGTH_MIN} characters and can be guessed: make one "
                "with `openssl rand -hex 32`"
            )
        if self.graph_batch_size_bytes_max > self.shard_message_size_bytes_max:
            raise ValueError("SHARD_MESSAGE_SIZE_BYTES_MAX must not be below GRAPH_BATCH_SIZE_BYTES_MAX")
        if bool(self.shard_tls_cert) != bool(self.shard_tls_key):
            raise ValueError("SHARD_TLS_CERT and SHARD_TLS_KEY: a certificate needs its key, and a key its certificate")
        if self.heartbeat_interval_s * 3 > self.heartbeat_ttl_s:
            raise ValueError(
                "HEARTBEAT_TTL_S must be at least three times HEARTBEAT_INTERVAL_S, or one late beat looks like a death"
            )
        if self.kafka_group_session_timeout_ms < self.kafka_group_heartbeat_ms + _HEARD_WITHIN_MS:
            raise ValueError(
                f"KAFKA_GROUP_SESSION_TIMEOUT_MS must be at least {_HEARD_WITHIN_MS} ms above KAFKA_GROUP_HEARTBEAT_MS,"
                " or a worker believes between two heartbeats that it is out of the group"
            )
        if self.build_wait_s < self.heartbeat_ttl_s:
            raise ValueError("BUILD_WAIT_S must not be below HEARTBEAT_TTL_S: which workers live is not known sooner")
        if self.payload_size_bytes_max > self.batch_size_bytes_max:
            raise ValueError("BATCH_SIZE_BYTES_MAX must not be below PAYLOAD_SIZE_BYTES_MAX")
        if self.payload_size_bytes_max > self.signals_unread_size_bytes_max:
            raise ValueError("SIGNALS_UNREAD_SIZE_BYTES_MAX must not be below PAYLOAD_SIZE_BYTES_MAX")
        if 0 < self.graph_session_ttl_s < 60:
            raise ValueError(
                "GRAPH_SESSION_TTL_S is 0 or at least 60, so that a graph outlives the pauses of its turns"
            )
        if self.graph_batch_size_bytes_max > self.shard_graph_queue_size_bytes_max:
            raise ValueError("SHARD_GRAPH_QUEUE_SIZE_BYTES_MAX must not be below GRAPH_BATCH_SIZE_BYTES_MAX")
        return self


def load(
    environ: Mapping[str, str] | None = None,
    *,
    used: Collection[str] | None = None,
    is_embedded: bool = False,
    **overrides: Any,
) -> Settings:
    """Return the settings of this process. overrides, from the command line, win over everything. Raises SettingError.

    used: the settings to read, by their names in lower case; the others keep their defaults. None: read all.
    is_embedded: this process is the user's own program; its `.env` is not read, nor other names of its environment than
    those that begin with ARGOSY_.
    """
    environ = os.environ if environ is None else environ
    if unknown := overrides.keys() - Settings.model_fields.keys():
        raise SettingError(f"{min(unknown)} is not a setting of Argosy")
    names = Settings.model_fields.keys() if used is None else used
    values: dict[str, Any] = {}
    for source, layer in _layers(environ, is_embedded=is_embedded):
        values.update(_given(source, layer, names))
    values.update({name: value for name, value in overrides.items() if value is not None})
    values = {name: read_secret(value) if isinstance(value, InFile) else value for name, value in values.items()}
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else ""
        message = first["msg"].removeprefix("Value error, ")
        value = "" if name.lower() in secret_names() else f"={first['input']!r}"
        shown = f"{name}{value}: " if name else ""
        raise SettingError(f"{shown}{message}") from error


def _given(source: str, layer: Mapping[str, Any], used: Collection[str]) -> dict[str, Any]:
    """Return the settings among `used` that one source has; a secret in a file comes as an InFile. Raises SettingError
    for an unknown ARGOSY_ name, or when the source has both NAME and NAME_FILE.
    """
    known = {name.upper(): name for name in used}
    known_files = {f"{name.upper()}{SUFFIX}": name for name in secret_names() if name in used}
    ours = BOOTSTRAP_NAMES | {name.upper() for name in Settings.model_fields}
    values: dict[str, Any] = {}
    in_files: dict[str, InFile] = {}
    for raw_name, value in layer.items():
        name = raw_name.upper()
        if is_of_others(name, value):
            continue
        if name in known and value != "":
            values[known[name]] = value
        elif name in known_files and value != "":
            in_files[known_files[name]] = InFile(name, source, value)
        elif name.startswith("ARGOSY_") and name not in ours:
            raise SettingError(f"{raw_name} (in {source}) is not a setting of Argosy")
    if both := sorted(values.keys() & in_files.keys()):
        raise SettingError(f"{both[0].upper()} and {in_files[both[0]].name} (both in {source}): give one of the two")
    return values | in_files


def secret_names() -> list[str]:
    """Return the names of the settings that are secrets, in lower case."""
    return [name for name, field in Settings.model_fields.items() if field.json_schema_extra == _SECRET]


def names_without_use(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the names in LADDER_NAMES_WITHOUT_USE that any source of settings has."""
    environ = os.environ if environ is None else environ
    return sorted(LADDER_NAMES_WITHOUT_USE & {name.upper() for _, layer in _layers(environ) for name in layer})


def _layers(environ: Mapping[str, str], *, is_embedded: bool = False) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the sources of settings, each with its name for messages, the strongest last. Raises SettingError when a
    file cannot be read.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = []
    folder = config_dir(environ)
    config_file = None if folder is None else folder / "config.json"
    if config_file is not None and _is_file(config_file):
        try:
            content = json.loads(config_file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise SettingError(f"{config_file}: {error}") from error
        if not isinstance(content, dict):
            raise SettingError(f"{config_file}: must hold one JSON object")
        layers.append((str(config_file), content))
    if is_embedded:
        own = {name: value for name, value in environ.items() if name.upper().startswith("ARGOSY_")}
        return [*layers, ("the environment", own)]
    if _is_file(Path(".env")):
        try:
            dotenv = DotEnvSettingsSource(
                Settings, env_file=Path(".env"), env_file_encoding="utf-8-sig", case_sensitive=True
            )
        except (OSError, ValueError) as error:
            raise SettingError(f".env in {Path.cwd()}: {error}") from error
        layers.append((".env", {name: value for name, value in dotenv.env_vars.items() if value is not None}))
    layers.append(("the environment", environ))
    return layers


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:  # a folder that this user may not enter counts as empty
        return False
