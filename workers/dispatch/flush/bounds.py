"""Bounds of what goes into one flush, and of what waits for one."""

from typing import NamedTuple

from argosy.config import Settings


class Bounds(NamedTuple):
    """rows_max: turns of one flush; size_bytes_max: data of one, beyond its first event; queue_size_bytes_max: data
    that may wait before nothing new begins; wait_ms: for how long a busy flush collects.
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
