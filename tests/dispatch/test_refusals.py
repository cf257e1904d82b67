"""Flushes that Postgres refuses, and what a worker makes of it."""

import asyncio
import uuid

import pytest

from argosy.errors import FlushRefusedError, OwnershipLostError
from argosy.turn.status import Status
from argosy.workers.dispatch.flush.flusher import LooseMove
from tests.dispatch.joined_parts import Parts, catalog, make_turn, until


async def test_a_refused_loose_move_is_said_as_what_it_is():
    async with Parts(catalog()) as parts:
        parts.stream.refuse = lambda arguments: True
        parts.flusher.move(LooseMove(parts.owned[0], uuid.uuid4(), "late"))
        with pytest.raises(FlushRefusedError):
            await asyncio.wait_for(asyncio.shield(parts.tasks[0]), 10)
        assert len(parts.stream.calls) <= 3


async def test_a_poisoned_turn_ends_its_task_quietly():
    async def wait_for_ever(context):
        await asyncio.Event().wait()

    async with Parts(catalog(wait_for_ever)) as parts:
        parts.stream.refuse = lambda arguments: "unwritable" not in repr(arguments)
        turn = make_turn(parts.owned[0], "boom")
        parts.scheduler.accepted(turn, True)
        parts.executor.fill()
        task = turn.task
        await until(lambda: turn.status is Status.PARKED and parts.executor.running == 0)
        await until(task.done)
        assert task.cancelled() or task.exception() is None


async def test_a_stream_that_the_database_does_not_know_ends_the_worker() -> None:
    async with Parts(catalog()) as parts:
        parts.stream.refuse = lambda arguments: True
        parts.stream.error = OwnershipLostError("flush 7 of stream 2 does not follow 3")
        parts.flusher.move(LooseMove(parts.owned[0], uuid.uuid4(), "late"))

        with pytest.raises(OwnershipLostError):
            await asyncio.wait_for(asyncio.shield(parts.tasks[0]), 10)

        assert parts.owned[0].is_void
