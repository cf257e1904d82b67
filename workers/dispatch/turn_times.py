"""How long turns take, for /metrics: in the log, in the queue, suspended, and in all. Nothing is decided by it.

All times are the database's, but for when a turn's id was made: that is its gateway's. A turn that is read from
Postgres without its time is not counted.
"""

import math
from collections.abc import Sequence
from typing import Final

from argosy import telemetry
from argosy.ids import mint_time_ms
from argosy.store.head import LoadedTurn
from argosy.turn.events import Event
from argosy.turn.keys import INGEST
from argosy.turn.status import Status
from argosy.turn.wait import WaitKind, WrittenWait, decode
from argosy.workers.dispatch.turn import Turn

_in_log: Final = telemetry.TURN_LOG_S.took
_queued: Final = telemetry.TURN_QUEUED_S.took
_suspended: Final = telemetry.TURN_SUSPENDED_S.took
_in_all: Final = telemetry.TURN_S.took
_INGEST: Final = f"\x01{INGEST}"  # how the names of the signals begin that end jobs (store/ingest.py)


def accepted(turns: Sequence[Turn]) -> None:
    """Records became these turns. Those without a place (duplicates, delayed turns) do not count."""
    for turn in turns:
        if turn.place:
            _in_log(turn.since_s - mint_time_ms(turn.turn_id) / 1_000)


def found(turn: Turn, row: LoadedTurn) -> None:
    """Note what Postgres knows of the turn's times."""
    turn.rest_since(row.written_at_s, row.due_s)
    if not turn.has_waited and any(event[2] == Event.TURN_SUSPENDED for event in turn.history):
        turn.note_waited()


def goes_on(turn: Turn, now_s: float) -> None:
    """The turn begins, or goes on, in a slot."""
    since_s = turn.since_s
    if since_s == math.inf:
        return
    if turn.status is Status.QUEUED:
        _queued(now_s - max(since_s, turn.due_s))
    elif turn.status is Status.SUSPENDED:
        _suspended(now_s - since_s, waits_for(decode(turn.waits)))


def ended(turn: Turn, at_s: float) -> None:
    """The turn's end is durable since then."""
    _in_all(at_s - max(mint_time_ms(turn.turn_id) / 1_000, turn.due_s), "yes" if turn.has_waited else "no")


def waits_for(waits: Sequence[WrittenWait]) -> str:
    """Return what a turn with these waits is waiting for, in one of the words of telemetry.WAITS_FOR."""
    found = {_kind_of(each) for each in waits}
    return "other" if not found else found.pop() if len(found) == 1 else "several"


def _kind_of(wait: WrittenWait) -> str:
    if wait.kind == WaitKind.SIGNAL:
        return "ingest" if wait.name.startswith(_INGEST) else "signal"
    if wait.kind == WaitKind.RETRY:
        return "shard" if wait.name else "retry"
    return "sleep" if wait.kind == WaitKind.SLEEP else "other"
