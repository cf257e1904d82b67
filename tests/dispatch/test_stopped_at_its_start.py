"""A cancel or a deadline meets a turn just when it starts: it ends, and what it held is free.

A task that is cancelled before its first step runs nothing of its coroutine, no `except` and no `finally`. A turn is
begun and stopped in one pass of the loop when its history and its due row are answered at once.
"""

import asyncio
import uuid
from typing import Any

import pytest

from argosy import Context, step
from argosy.turn.events import Event
from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.joined_parts import Parts, catalog, due_row, loaded, make_turn, until

PASSES = range(12)  # of the loop, between a start and what stops it
ENDS = pytest.mark.parametrize(
    ("kind", "name", "status"),
    [("cancel", "", Status.CANCELLED), ("timer", "deadline", Status.EXPIRED)],
    ids=["cancel", "deadline"],
)


@step
async def hold(_: None) -> None:
    await asyncio.Event().wait()


async def holds(context: Context) -> None:
    await context.run(hold, None)


def _queued(parts: Parts) -> Turn:
    return make_turn(parts.owned[0], "holds")


def _found_running(parts: Parts) -> Turn:
    """Its owner died: its start is awaited."""
    turn = _queued(parts)
    turn.status = turn.written_status = Status.RUNNING
    turn.attempt = turn.written_attempt = turn.seq = turn.written_seq = turn.durable_seq = 1
    turn.found_running_seq = 1
    turn.version, turn.resume = "1", Resume.CRASHED
    turn.history = [(1, 1, "turn.started", "", b"{}")]
    return turn


def _due(parts: Parts, turn: Turn, kind: str, name: str) -> uuid.UUID:
    inbox_id = uuid.uuid4()
    known = {"workflow": turn.workflow, "status": str(turn.status), "attempt": turn.attempt, "seq": turn.seq}
    parts.heads.due = [due_row(loaded(turn.turn_id, turn.session_id, **known), inbox_id, kind, name)]
    return inbox_id


@ENDS
@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("is_followed", [False, True], ids=["not followed", "followed"])
@pytest.mark.parametrize("found", [_queued, _found_running], ids=["queued", "found running"])
async def test_a_turn_is_ended_however_soon_after_its_start_it_is_stopped(
    found: Any, is_followed: bool, passes: int, kind: str, name: str, status: Status
) -> None:
    async with Parts(catalog(holds, "holds")) as parts:
        turn = found(parts)
        if is_followed:
            parts.look_on(turn)
        inbox_id = _due(parts, turn, kind, name)
        parts.scheduler.found(turn)

        parts.executor.fill()
        assert turn.execution is not None
        for _ in range(passes):
            await asyncio.sleep(0)
        await parts.inbox.look()
        await until(lambda: turn.durable_seq == turn.seq and turn.has_ended)

        assert turn.status is status
        await until(lambda: parts.admission.running == 0)
        assert turn.turn_id not in parts.scheduler.live
        assert inbox_id not in parts.delivery.in_hand
        assert _ends_written(parts, turn) == 1


async def test_the_next_turn_of_the_session_starts_when_its_head_was_cancelled_at_its_start() -> None:
    async with Parts(catalog(holds, "holds")) as parts:
        turn, following = _queued(parts), make_turn(parts.owned[0], "holds", place=2)
        following.session_id = turn.session_id
        _due(parts, turn, "cancel", "")
        parts.scheduler.accepted(turn, True, Read())
        parts.scheduler.accepted(following, False, Read())

        parts.executor.fill()
        await parts.inbox.look()
        await until(lambda: following.execution is not None)

        assert turn.status is Status.CANCELLED


async def test_nothing_of_the_code_of_a_turn_runs_that_is_stopped_before_it_begins() -> None:
    ran = []

    async def says(context: Context) -> None:
        ran.append(context)

    async with Parts(catalog(says, "holds")) as parts:
        turn = _queued(parts)
        _due(parts, turn, "cancel", "")
        parts.scheduler.found(turn)

        parts.executor.fill()
        await parts.inbox.look()
        await until(lambda: turn.durable_seq == turn.seq and turn.has_ended)

        assert (turn.status, ran) == (Status.CANCELLED, [])


def _ends_written(parts: Parts, turn: Turn) -> int:
    """How many flushes brought an end of the turn."""
    ends = {Event.TURN_CANCELLED, Event.TURN_EXPIRED, Event.TURN_COMPLETED, Event.TURN_FAILED}
    return sum(
        str(end) in map(str, argument)
        for call in parts.stream.calls
        for argument in call
        if isinstance(argument, list | tuple)
        for end in ends
    )
