"""Timers of a turn's loop are those that its code began: the worker, which the code calls, has a loop of its own."""

import asyncio

import pytest

from argosy import Context, emit, step
from argosy.workers.dispatch.scheduling.reads import Read
from tests.dispatch.joined_parts import Parts, arguments_of, catalog, is_over, make_turn, until


@step
async def nothing() -> None:
    """An operation, before which all begin that the code has asked for."""


async def asks_for_the_time(ctx: Context) -> None:
    asyncio.get_running_loop().time()
    emit("said", text="something")
    await ctx.run(nothing)


@pytest.mark.parametrize("awaits_start", [False, True], ids=["begins at once", "awaits its start"])
@pytest.mark.parametrize("is_followed", [False, True], ids=["not followed", "followed"])
async def test_code_that_records_something_first_begins_no_timer(is_followed: bool, awaits_start: bool) -> None:
    async with Parts(catalog(asks_for_the_time)) as parts:
        turn = make_turn(parts.owned[0], "boom")
        turn.awaits_start = awaits_start
        if is_followed:
            parts.look_on(turn)
        parts.scheduler.accepted(turn, True, Read())

        parts.executor.fill()
        await until(lambda: is_over(turn))

    written = [key for call in parts.stream.calls for key in arguments_of(call)["e_key"]]
    assert [key for key in written if key] == ["@time", "nothing"]
