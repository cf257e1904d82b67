"""Postgres, and what is written to it."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Seconds, Secret


class Truth(BaseModel):
    """See argosy.config.Settings."""

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
