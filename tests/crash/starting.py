"""A workflow that starts turns, as `ctx.child` will: its step adds rows of kind `start` to its own turn, in the worker.

Input: {"sink", "session", "children": [{"turn_id", "session", "record"}], …}; with "until" it starts them when that
file is there.

Crash points are armed as a worker starts; here the step that starts the first turns arms them, so that what they count
begins there. STARTS_CRASH_AT is as ARGOSY_CRASH_AT; at the point STARTS_STOP_AT the process stops (SIGSTOP), once.
"""

import gc
import os
import signal
import uuid
from typing import Any

from argosy import Context, crash_points, ids, step, step_info, workflow
from argosy.turn.inbox import START
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
    """The turn as this worker has it in memory, which no step is told."""
    return next(
        each
        for each in gc.get_objects()
        if isinstance(each, Turn) and each.turn_id == turn_id and each.journal is not None
    )


@step
async def start(job: dict[str, Any]) -> None:
    turn = _running(step_info().turn_id)
    for child in job["children"]:
        session_id = ids.session_id_of("default", "default", child["session"])
        to = Address(None, ids.bucket_of(session_id), session_id, uuid.UUID(child["turn_id"]))
        turn.address_row(InboxWrite(uuid.uuid4(), START, "", "", bytes.fromhex(child["record"]), 0.0, to))
    _arm()


@workflow
async def starts(ctx: Context, job: dict[str, Any]) -> None:
    """An effect, then turns are started, then an effect."""
    await ctx.run(touch, job)
    if "until" in job:
        await ctx.run(hold, job)
    await ctx.run(start, job)
    await ctx.run(touch, job)
