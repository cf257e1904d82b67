"""Graphs, as processes ask for them."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Endpoints, Seconds


class Graphs(BaseModel):
    """See argosy.config.Settings."""

    graph_service_endpoints: Endpoints = Field(
        default=(),
        description="Shards, tcp://host:port or unix:/path, as a list with commas or in JSON. They become the members "
        "once, when there are none; from then on the database has them.",
    )
    graph_timeout_s: Seconds = Field(
        default=10.0,
        description="How long a call about a graph may take, with what is tried again, if nobody says; at least 3 s "
        "more than GRAPH_WATCH_S.",
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
