"""Maintenance: what is forgotten when, and its leaders."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Seconds


class Maintenance(BaseModel):
    """See argosy.config.Settings."""

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
