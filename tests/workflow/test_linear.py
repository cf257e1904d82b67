"""What a turn costs grows with what it does, not with its square: counted, not timed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from argosy import Context, step
from tests.harness.line_count import counted_lines
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run


@step
async def load(number: int) -> int:
    return number


async def _at_once(ctx: Context, size: int) -> int:
    return len(await asyncio.gather(*(ctx.run(load, number) for number in range(size))))


async def _in_a_row(ctx: Context, size: int) -> int:
    for number in range(size):
        await ctx.run(load, number)
    return size


async def _in_tasks(ctx: Context, size: int) -> int:
    async with asyncio.TaskGroup() as group:
        for number in range(size):
            group.create_task(ctx.run(load, number))
    return size


async def _with_time_outs(ctx: Context, size: int) -> int:
    return len(await asyncio.gather(*(asyncio.wait_for(ctx.run(load, number), 60) for number in range(size))))


async def _given_up(ctx: Context, size: int) -> int:
    tasks = [asyncio.create_task(ctx.wait_signal(f"signal-{number}")) for number in range(size)]
    await ctx.run(load, 0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return size


Code = Callable[[Context, int], Awaitable[int]]


async def _calls(code: Code, size: int, journal: ListJournal) -> int:
    async def sized(ctx: Context) -> int:
        return await code(ctx, size)

    async def completes() -> None:
        assert await run(sized, journal=journal) == size

    return await _lines(completes)


async def _lines(code: Callable[[], Awaitable[None]]) -> int:
    with counted_lines("argosy/workflow") as count:
        await code()
    return count.lines


@pytest.mark.parametrize("code", [_at_once, _in_a_row, _in_tasks, _with_time_outs, _given_up])
async def test_ten_times_as_much_costs_ten_times_as_much(code: Code) -> None:
    small, large = ListJournal(passes_time=False), ListJournal(passes_time=False)

    few = await _calls(code, 50, small)
    many = await _calls(code, 500, large)
    few_again = await _calls(code, 50, ListJournal(small.rows, attempt=2))
    many_again = await _calls(code, 500, ListJournal(large.rows, attempt=2))

    assert many < 11 * few
    assert many_again < 11 * few_again


async def _clean_up(size: int) -> int:
    """What it costs that so many branches are cancelled, of which each runs a step then."""

    async def branch(ctx: Context, number: int) -> None:
        try:
            await ctx.wait_signal("never")
        finally:
            await ctx.run(load, number)

    async def branches(ctx: Context) -> None:
        await asyncio.gather(*(branch(ctx, number) for number in range(size)))

    journal = ListJournal(passes_time=False)
    turn = asyncio.create_task(run(branches, journal=journal))
    await journal.is_resting.wait()

    async def ends() -> None:
        journal.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn

    lines = await _lines(ends)
    assert sum(kind == "step.completed" for kind, _ in journal.outcomes()) == size
    return lines


async def test_a_cancel_of_ten_times_as_many_branches_costs_ten_times_as_much() -> None:
    assert await _clean_up(500) < 11 * await _clean_up(50)


@pytest.mark.parametrize(("code", "size"), [(_at_once, 4_000), (_in_tasks, 4_000), (_in_a_row, 5_000)])
async def test_thousands_of_operations_complete_and_replay(code: Code, size: int) -> None:
    async def sized(ctx: Context) -> int:
        return await code(ctx, size)

    journal = ListJournal()
    assert await run(sized, journal=journal) == size

    again = ListJournal(journal.rows, attempt=2)
    assert await run(sized, journal=again) == size
    assert len(again.rows) == size
