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
        description="Ended turns and jobs are forgotten after this, with history, rejects and keys; so are receipts. "
        "Turns no sooner than 25 hours after they were accepted.",
    )
    retention_batch_max: int = Field(
        default=200, ge=1, le=10_000, description="Turns that are forgotten in one transaction."
    )
    erasure_late_s: Seconds = Field(
        default=600.0,
        description="An erasure that waits, of which nothing has changed for longer, says so (`erasure.late`).",
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
    rebalance_moves_max: int = Field(
        default=2, ge=1, le=16, description="Graphs that are moved between shards at the same time."
    )
    rebalance_rate_bytes_s: int = Field(
        default=52_428_800,
        ge=1_048_576,
        le=100_000_000_000,
        description="Bytes a second of graphs that are copied between shards, all moves together, while they are open.",
    )
    rebalance_seal_s: float = Field(
        default=5.0,
        ge=0.5,
        le=60,
        description="How long a graph that moves may take no writes; a move that takes longer is given up for now.",
    )
    rebalance_tries_max: int = Field(
        default=10, ge=1, le=1_000, description="How often a move is tried before it is given up for good."
    )
