"""Reads of histories that fail: what is at fault is found and set aside, and everybody else is served."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import pytest

from argosy import Context
from argosy.errors import StoreSlowError, StoreUnavailableError
from argosy.store.head import LoadedTurn
from argosy.turn.status import Status
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.joined_parts import Parts, catalog, is_over, loaded, make_turn, until

CONTENT = (
    asyncpg.InternalServerError("invalid memory alloc request size 1200000000"),
    asyncpg.ProgramLimitExceededError("too many"),
    KeyError("bug"),
    MemoryError(),
    RecursionError(),
    UnicodeDecodeError("utf-8", b"", 0, 1, "r"),
)


async def returns(context: Context) -> int:
    return 1


async def run(
    parts: Parts, turns: list[Turn], raise_for: Callable[[Sequence[uuid.UUID]], Exception | None]
) -> list[list[uuid.UUID]]:
    """Run turns whose histories are read at once; raise_for(ids) fails reads. Return what each read asked for."""
    reads: list[list[uuid.UUID]] = []
    for turn in turns:
        turn.needs_load = True
        parts.heads.turns[turn.turn_id] = loaded(turn.turn_id, turn.session_id, workflow="boom")

    async def load_turns(ids: Sequence[uuid.UUID]) -> list[LoadedTurn]:
        reads.append(list(ids))
        if (error := raise_for(ids)) is not None:
            raise error
        return [parts.heads.turns[each] for each in ids]

    parts.heads.load_turns = load_turns
    for turn in turns:
        parts.scheduler.accepted(turn, True, Read())
    parts.executor.fill()
    return reads


def make_turns(parts: Parts, count: int) -> list[Turn]:
    return [make_turn(parts.owned[0], "boom", place=place) for place in range(1, count + 1)]


@pytest.mark.parametrize("error", CONTENT)
async def test_a_turn_that_cannot_be_read_is_parked_alone(error: Exception) -> None:
    async with Parts(catalog(returns)) as parts:
        bad, *others = make_turns(parts, 4)

        await run(parts, [bad, *others], lambda ids: error if bad.turn_id in ids else None)

        await until(lambda: all(map(is_over, others)) and bad.status is Status.PARKED)
        assert bad.reason == "unreadable"
        assert b"resume" in (bad.error or b"")
        assert not any(task.done() for task in parts.tasks)


async def test_a_read_that_takes_too_long_twice_is_tried_with_half() -> None:
    async with Parts(catalog(returns)) as parts:
        turns = make_turns(parts, 4)

        reads = await run(parts, turns, lambda ids: StoreSlowError("slow") if len(ids) > 1 else None)

        await until(lambda: all(map(is_over, turns)))
        assert [len(each) for each in reads[:5]] == [4, 4, 2, 2, 1]
        assert not any(turn.status is Status.PARKED for turn in turns)


async def test_nobody_is_at_fault_while_postgres_gets_done_with_nothing() -> None:
    async with Parts(catalog(returns)) as parts:
        turns, slow = make_turns(parts, 1), [StoreSlowError("slow")] * 6

        reads = await run(parts, turns, lambda ids: slow.pop() if slow else None)

        await until(lambda: all(map(is_over, turns)) or turns[0].status is Status.PARKED)
        assert is_over(turns[0])
        assert len(reads) == 7


async def test_one_that_takes_too_long_alone_while_others_do_not_is_parked() -> None:
    async with Parts(catalog(returns)) as parts:
        bad, *others = make_turns(parts, 3)

        await run(parts, [bad, *others], lambda ids: StoreSlowError("slow") if bad.turn_id in ids else None)

        await until(lambda: all(map(is_over, others)) and bad.status is Status.PARKED)
        assert bad.reason == "unreadable"


async def test_nobody_is_at_fault_while_postgres_is_away() -> None:
    async with Parts(catalog(returns)) as parts:
        turns, away = make_turns(parts, 2), [StoreUnavailableError("away")] * 4

        reads = await run(parts, turns, lambda ids: away.pop() if away else None)

        await until(lambda: all(map(is_over, turns)))
        assert [len(each) for each in reads] == [2] * 5


async def test_a_history_that_cannot_be_understood_parks_its_turn_alone() -> None:
    async with Parts(catalog(returns), events_per_turn_max=10) as parts:
        bad, good = make_turns(parts, 2)

        reads = await run(parts, [bad, good], lambda ids: None)
        events: list[Any] = [("not", "an event")]
        parts.heads.turns[bad.turn_id] = parts.heads.turns[bad.turn_id]._replace(events=events)

        await until(lambda: is_over(good) and bad.status is Status.PARKED)
        assert bad.reason == "unreadable"
        assert reads


async def test_a_turn_larger_than_its_bound_is_parked_and_says_how_to_go_on() -> None:
    async with Parts(catalog(returns), history_size_bytes_max=10**6) as parts:
        (turn,) = make_turns(parts, 1)

        await run(parts, [turn], lambda ids: None)
        parts.heads.turns[turn.turn_id] = parts.heads.turns[turn.turn_id]._replace(events=None, size_bytes=2 * 10**6)

        await until(lambda: turn.status is Status.PARKED)
        assert turn.reason == "history_too_large"
        assert b"HISTORY_SIZE_BYTES_MAX=1000000" in (turn.error or b"")
