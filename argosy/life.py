"""Which processes live: what the signs of life that Postgres has of a process mean. Pure.

There are two signs. A process holds the lock of its number, which Postgres frees within milliseconds when the process
is gone. And it sends heartbeats, which end when it stops without dying. The facts are one view, signs_of_life
(argosy/store/functions/signs_of_life.sql).

Two questions are answered by them, and not in the same way:
- Does a worker live, so that its partitions are its own? `is_alive`. A worker that stopped without dying is dead when
  it was not heard for HEARTBEAT_TTL_S, although it holds its lock: others must take over.
- What is an operator shown? `state_of`. The same worker is silent after a third of that time, and for as long as its
  process is there: an operator has to find and end that process.
"""

from enum import StrEnum
from typing import Final, Literal

# A worker whose connection was merely cut opens another one within this time, so that its steps do not run again.
LOCK_GRACE_S: Final = 0.25
# Right after a start of Postgres no process holds its lock yet: for so long only heartbeats count.
SERVER_GRACE_S: Final = 5.0
# Heartbeats per TTL at the least, however many workers there are: one or two may be late before their worker is taken
# for dead, or shown as silent.
BEATS_PER_TTL: Final = 4


class ProcessKind(StrEnum):
    """What a process does that has a row with signs of life."""

    DISPATCH = "dispatch"
    MAINTENANCE = "maintenance"
    INGEST = "ingest"


LOG_READERS: Final = frozenset({ProcessKind.DISPATCH, ProcessKind.INGEST})  # each reads the log of its lane


State = Literal["alive", "silent", "dead"]


def is_alive(*, lock_free_s: float | None, heard_s: float, server_up_s: float, ttl_s: float) -> bool:
    """Whether a worker lives. lock_free_s: for how long its lock has been seen free; None: the lock is held.

    The lock is free within milliseconds of a death. A worker that stops without dying keeps it, and is taken for dead
    when it was not heard for ttl_s, counted from the start of the Postgres server at the earliest.

    The function is_alive of signs_of_life.sql is this one for a single look, in which a free lock counts as free for
    long. A test compares them.
    """
    if min(heard_s, server_up_s) > ttl_s:
        return False
    if lock_free_s is None or server_up_s < SERVER_GRACE_S:
        return True
    return lock_free_s < LOCK_GRACE_S


def silent_after_s(ttl_s: float) -> float:
    """Return for how long a process may send no heartbeat before it is shown as silent."""
    return ttl_s / 3


def state_of(*, holds_lock: bool, is_heard: bool, server_up_s: float) -> State:
    """Return what a process is shown as. is_heard: its last heartbeat is no older than silent_after_s.

    server_up_s: for how long Postgres has been running.
    """
    if not holds_lock and (server_up_s >= SERVER_GRACE_S or not is_heard):
        return "dead"
    return "alive" if is_heard else "silent"
