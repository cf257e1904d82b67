"""A workflow that starts turns, as `ctx.child` will: rows of kind `start` go with the event that a wait began.

Input: {"sink", "session", "children": [{"turn_id", "session", "record"}], …}; with "until" it starts them when that
file is there.

The rows are not a step's: the outcome of a step that runs in a hand-over is delivered to the next owner, and rows that
such a step had added would not be.

Crash points are armed as a worker starts; here the first start arms them, so that what they count begins there.
STARTS_CRASH_AT is as ARGOSY_CRASH_AT; at the point STARTS_STOP_AT the process stops (SIGSTOP), once.
"""

import contextlib
import gc
import os
import signal
import uuid
from typing import Any

from argosy import Context, WaitTimeoutError, crash_points, ids, workflow
from argosy.turn.inbox import START
from argosy.turn.wait import WaitKind
from argosy.workers.dispatch.execution.turn_waits import TurnWaits
from argosy.workers.dispatch.turn import Turn
from argosy.workers.dispatch.writes import Address, InboxWrite
from tests.journey.workflows import hold, touch

_is_armed = False


def _arm() -> None:
    global _is_armed
    if _is_armed:
        return
    _is_armed = True
    crash_points.arm(os.environ.get("STARTS_CRASH_AT", ""))
    if stop_at := os.environ.get("STARTS_STOP_AT"):
        crash_points.reach = lambda point: _stop() if point == stop_at else None


def _stop() -> None:
    crash_points.arm("")
    os.kill(os.getpid(), signal.SIGSTOP)


def _running(turn_id: uuid.UUID) -> Turn:
    """The turn as this worker has it in memory, which no workflow is told."""
    return next(
        each
        for each in gc.get_objects()
        if isinstance(each, Turn) and each.turn_id == turn_id and each.journal is not None and each.stop is None
    )


_children: dict[uuid.UUID, list[dict[str, Any]]] = {}
_begin = TurnWaits.begin


def begin(self: TurnWaits, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
    """Begin a wait; with the event that a wait for children began the rows that start them go."""
    prefix, _, turn_id = name.partition(":")
    if prefix != "children":
        _begin(self, key, kind, name, timeout_s)
        return
    turn = _running(uuid.UUID(turn_id))
    seq = turn.seq
    _begin(self, key, kind, name, timeout_s)
    if turn.seq == seq:
        return  # it began in an earlier attempt
    for child in _children[turn.turn_id]:
        session_id = ids.session_id_of("default", "default", child["session"])
        to = Address(None, ids.bucket_of(session_id), session_id, uuid.UUID(child["turn_id"]))
        turn.address_row(InboxWrite(uuid.uuid4(), START, "", "", bytes.fromhex(child["record"]), 0.0, to))
    _arm()


TurnWaits.begin = begin  # type: ignore[method-assign]  # until ctx.child, no wait of the product starts turns


@workflow
async def starts(ctx: Context, job: dict[str, Any]) -> None:
    """An effect, then turns are started, then an effect."""
    await ctx.run(touch, job)
    if "until" in job:
        await ctx.run(hold, job)
    _children[ctx.turn_id] = job["children"]
    with contextlib.suppress(WaitTimeoutError):
        await ctx.wait_signal(f"children:{ctx.turn_id}", timeout_s=0)
    await ctx.run(touch, job)
