"""The bounds of one flush, and of what waits for it."""

from typing import NamedTuple

from argosy.config import Settings


class Bounds(NamedTuple):
    """The flusher's bounds.

    rows_max: turns in one flush, and as many moves and placements; size_bytes_max: data in one flush, which its first
    event may exceed; queue_size_bytes_max: data that may wait before nothing new begins; wait_ms: how long the flusher
    collects turns after a busy flush.
    """

    rows_max: int
    size_bytes_max: int
    queue_size_bytes_max: int
    wait_ms: float


def bounds_of(settings: Settings) -> Bounds:
    return Bounds(
        settings.flush_rows_max,
        settings.flush_size_bytes_max,
        settings.flush_queue_size_bytes_max,
        settings.flush_wait_ms,
    )
