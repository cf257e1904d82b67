"""Flushes that Postgres refuses, and what a worker makes of it."""

import asyncio
import uuid

import pytest

from argosy import Context
from argosy.errors import OwnershipLostError
from argosy.turn.inbox import Fate
from argosy.turn.status import Status
from argosy.workers.dispatch.flush.flush_queue import LooseMove
from argosy.workers.dispatch.scheduling.reads import Read
from tests.dispatch.joined_parts import Parts, arguments_of, catalog, is_over, make_turn, until


async def test_a_refused_loose_move_is_left_and_others_are_written() -> None:
    async with Parts(catalog()) as parts:
        bad, good = uuid.uuid4(), uuid.uuid4()
        parts.stream.refuse = lambda arguments: str(bad) in repr(arguments)
        for inbox_id in (bad, good):
            parts.flusher.move(LooseMove(parts.owned[0], inbox_id, Fate.LATE))

        await parts.flusher.drained()

        assert [*arguments_of(parts.stream.calls[-1])["x_id"]] == [good]
        assert not parts.tasks[0].done()


async def test_a_turn_of_which_not_even_a_parking_can_be_written_ends_nothing() -> None:
    async def returns(context: Context) -> int:
        return 1

    async with Parts(catalog(returns)) as parts:
        bad, good = make_turn(parts.owned[0], "boom"), make_turn(parts.owned[0], "boom")
        parts.stream.refuse = lambda arguments: str(bad.turn_id) in repr(arguments)
        parts.scheduler.accepted(bad, True, Read())
        parts.scheduler.accepted(good, True, Read())

        parts.executor.fill()
        await until(lambda: is_over(good))

        await until(lambda: bad.is_refused)
        assert not parts.tasks[0].done()


@pytest.mark.parametrize(
    "error", [KeyError("k"), MemoryError(), RecursionError(), UnicodeDecodeError("u", b"", 0, 1, "r")]
)
async def test_an_error_that_nobody_thought_of_costs_the_turns_of_that_flush_and_nobody_else(error: Exception) -> None:
    async def returns(context: Context) -> int:
        return 1

    async with Parts(catalog(returns)) as parts:
        lost, later = make_turn(parts.owned[0], "boom"), make_turn(parts.owned[0], "boom")
        parts.stream.refuse, parts.stream.error = lambda arguments: str(lost.turn_id) in repr(arguments), error
        parts.scheduler.accepted(lost, True, Read())
        parts.executor.fill()
        await until(lambda: lost.is_refused)

        parts.scheduler.accepted(later, True, Read())
        parts.executor.fill()

        await until(lambda: is_over(later))
        assert not parts.tasks[0].done()


async def test_the_code_of_a_poisoned_turn_ends_quietly() -> None:
    async def wait_for_ever(context: Context) -> None:
        await context.run(asyncio.Event().wait)

    async with Parts(catalog(wait_for_ever)) as parts:
        parts.stream.refuse = lambda arguments: "unwritable" not in repr(arguments)
        turn = parts.begin("boom")
        execution = turn.execution
        await until(lambda: turn.status is Status.PARKED and parts.admission.running == 0)
        await until(lambda: execution is not None and execution.has_ended)


async def test_a_stream_that_the_database_does_not_know_ends_the_worker() -> None:
    async with Parts(catalog()) as parts:
        parts.stream.refuse = lambda arguments: True
        parts.stream.error = OwnershipLostError("flush 7 of stream 2 does not follow 3")
        owned = parts.owned[0]
        parts.flusher.move(LooseMove(owned, uuid.uuid4(), Fate.LATE))

        with pytest.raises(OwnershipLostError):
            await asyncio.wait_for(asyncio.shield(parts.tasks[0]), 10)

        assert owned.is_void
        assert not parts.owned, "given up"
