"""A gateway: where it serves, and what it takes."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Host, Networks, Seconds, StringList


class Gateway(BaseModel):
    """See argosy.config.Settings."""

    host: Host = Field(default="127.0.0.1", description="Address that the gateway binds.")
    port: int = Field(default=9000, ge=0, le=65_535, description="Port that the gateway binds; 0: a free one.")
    gateway_workers: int = Field(default=1, ge=1, le=64, description="Gateway processes on the one socket.")
    gateway_metrics: bool = Field(
        default=True, description="Serve /metrics on the gateway, at PORT, when it is one process (see METRICS_PORT)."
    )
    gateway_rate_limit: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="Turns per second of one tenant, at all gateways together; 0: no limit.",
    )
    gateway_rate_burst: float = Field(
        default=0.0,
        ge=0,
        le=10_000_000,
        description="Turns of one tenant at once, at all gateways together, those of a second at the least; "
        "0: twice the rate.",
    )
    gateway_signal_rate_limit: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="Signals, cancels and resumes per second of one tenant, at all gateways together; 0: no limit.",
    )
    gateway_signal_rate_burst: float = Field(
        default=0.0,
        ge=0,
        le=10_000_000,
        description="Signals, cancels and resumes of one tenant at once, at all gateways together; 0: twice the rate.",
    )
    gateway_graph_rate_limit: float = Field(
        default=0.0,
        ge=0,
        le=1_000_000,
        description="Requests about graphs per second of one tenant, at all gateways together; 0: no limit.",
    )
    gateway_graph_rate_burst: float = Field(
        default=0.0,
        ge=0,
        le=10_000_000,
        description="Requests about graphs of one tenant at once, at all gateways together; 0: twice the rate.",
    )
    gateway_read_rate_limit: float = Field(
        default=200.0,
        ge=0,
        le=1_000_000,
        description="Reads per second of one credential, at one gateway process, twice as many at once; 0: no limit.",
    )
    gateway_limits_interval_s: float = Field(
        default=0.5,
        ge=0.05,
        le=1,
        description="How often a gateway settles with the others what is left of tenants' limits.",
    )
    gateway_allow_remote: bool = Field(
        default=False,
        description="Bind other addresses than loopback: nothing there is encrypted, and who asks is known "
        "with KG_AUTH_REQUIRED alone.",
    )
    gateway_hosts: StringList = Field(
        default=(),
        description="Further names, host or host:port, under which browsers and clients reach the gateway.",
    )
    gateway_public_url: str = Field(
        default="",
        max_length=500,
        description="The https address at which browsers reach the console, `https://argosy.example`, through what "
        "ends TLS; empty: people sign in at loopback only.",
    )
    gateway_trusted_proxies: Networks = Field(
        default=(),
        description="Networks (CIDR) of proxies whose X-Forwarded-For says where a request comes from.",
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
    signals_early_max: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Signals and cancels of one tenant for turns that are not accepted; then 429.",
    )
    signals_early_size_bytes_max: int = Field(
        default=67_108_864, ge=1_024, le=1_073_741_824, description="Bytes of those; then 429."
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
        description="Event streams and waits of one tenant, at all gateways together; then 429.",
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
