"""What asyncio leaves to memory addresses, or to the version of Python, is the same for every replay of a workflow."""

import asyncio
import concurrent.futures
from collections.abc import Iterable
from typing import Any

import pytest
import structlog

from argosy import Context, StepFailedError, WorkflowError, step
from argosy.workflow.journal import Park
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import BankError, run


@step
async def load(number: int = 0) -> int:
    return number


@step
async def refuse() -> None:
    raise BankError("no money")


def _keys(journal: ListJournal, kinds: Iterable[str] = ("step.completed", "wait.started")) -> list[str]:
    return [key for kind, key in journal.outcomes() if kind in kinds]


async def test_gathers_in_a_set_are_gone_through_in_the_order_in_which_they_were_made() -> None:
    async def gathers(ctx: Context) -> list[int]:
        found = [asyncio.gather(ctx.run(load, number), ctx.run(load, -number)) for number in range(50)]
        done, _ = await asyncio.wait(found)
        return [each.result()[0] for each in done]

    assert await run(gathers) == list(range(50))


async def test_a_gather_of_another_loop_is_as_python_makes_it() -> None:
    gathered = asyncio.gather(asyncio.sleep(0, 1))

    assert hash(gathered) == object.__hash__(gathered)
    assert list(await gathered) == [1]


async def test_all_tasks_are_as_a_set_that_is_filled_in_the_order_in_which_they_were_made() -> None:
    async def tasks(ctx: Context) -> bool:
        made = [asyncio.create_task(ctx.wait_signal("never"), name=str(number)) for number in range(1, 34)]
        await ctx.run(load)
        for task in made:
            if int(task.get_name()) % 8:  # what is left has one place in a small set
                task.cancel()
        await asyncio.sleep(0)
        left = [asyncio.current_task(), *(task for task in made if not task.done())]
        assert len(left) == 5
        return list(asyncio.all_tasks()) == list({task for task in left})  # noqa: C416 — filled one by one

    assert await run(tasks)


async def test_all_tasks_of_another_loop_are_as_python_finds_them() -> None:
    assert asyncio.current_task() in asyncio.all_tasks()
    assert asyncio.all_tasks(asyncio.get_running_loop()) == asyncio.all_tasks()


async def test_a_time_limit_around_an_operation_makes_no_branch_of_it_in_any_version_of_python() -> None:
    async def limited(ctx: Context) -> list[Any]:
        found = await asyncio.wait_for(ctx.run(load, 1), 60)
        task = asyncio.create_task(asyncio.wait_for(ctx.wait_signal("never"), 5))
        with pytest.raises(TimeoutError):
            await task
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ctx.run(load, 2), 0)
        return [found, await asyncio.wait_for(ctx.run(load, 3), None)]

    journal = ListJournal()
    assert await run(limited, None, journal) == [1, 3]
    assert _keys(journal) == ["@timer", "load", "1/@timer", "signal:never", "load#3"]


async def test_an_operation_is_awaited_once() -> None:
    async def twice(ctx: Context) -> list[str]:
        told = []
        for operation in (ctx.run(refuse), ctx.run(load, 1)):
            for _ in range(2):
                try:
                    told.append(str(await operation))
                except (StepFailedError, RuntimeError) as error:
                    told.append(type(error).__name__)
        return told

    assert await run(twice) == ["StepFailedError", "RuntimeError", "1", "RuntimeError"]


async def test_a_callback_that_raises_is_told_of_also_when_it_is_a_future_s() -> None:
    async def settles_twice(ctx: Context) -> None:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, 1)
        asyncio.get_running_loop().call_soon(future.set_result, 2)
        await ctx.run(load)

    with structlog.testing.capture_logs() as logs:
        await run(settles_twice)

    assert [each["type"] for each in logs if each["event"] == "workflow.unhandled"] == ["InvalidStateError"]


async def test_what_ends_a_task_is_told_to_who_awaits_it_and_to_nobody_else() -> None:
    async def exits() -> None:
        raise SystemExit(3)

    async def awaits(ctx: Context) -> str:
        task = asyncio.create_task(exits())
        later = asyncio.create_task(_after(ctx, exits))
        (found, other) = await asyncio.gather(task, later, return_exceptions=True)
        return f"{found!r} {other!r}"

    with structlog.testing.capture_logs() as logs:
        assert await run(awaits) == "SystemExit(3) SystemExit(3)"

    assert [each for each in logs if each["event"] == "workflow.unhandled"] == []


async def _after(ctx: Context, code: Any) -> None:
    await ctx.run(load)
    await code()


async def test_arguments_that_went_away_are_other_arguments() -> None:
    arguments: list[int] = [7]

    async def once(ctx: Context) -> int:
        return await ctx.run(load, *arguments)

    journal = ListJournal()
    await run(once, None, journal)
    arguments.clear()

    with pytest.raises(Park, match=r"outcome of 'load' with arguments of digest \w{8}; the code now .* digest none"):
        await run(once, None, ListJournal(journal.rows, attempt=2))


async def test_a_task_that_asyncio_did_not_make_is_told_how_to_be_made() -> None:
    async def flow(ctx: Context) -> list[str]:
        async def branch(operation: Any) -> str:
            try:
                return str(await operation())
            except WorkflowError as error:
                return str(error)

        by_hand = [asyncio.Task(branch(each)) for each in (lambda: ctx.run(load), lambda: asyncio.sleep(1))]
        return [await each for each in by_hand]

    told = await run(flow)

    assert all("asyncio.create_task or a TaskGroup" in each for each in told)


async def test_a_future_of_a_thread_is_refused_in_words() -> None:
    async def flow(ctx: Context) -> str:
        try:
            return str(await asyncio.wrap_future(concurrent.futures.Future()))
        except WorkflowError as error:
            return str(error)

    assert "in a step" in await run(flow)


async def test_a_future_of_a_thread_is_taken_by_any_other_loop() -> None:
    done: concurrent.futures.Future[int] = concurrent.futures.Future()
    done.set_result(1)

    assert await asyncio.wrap_future(done) == 1
    assert await asyncio.to_thread(lambda: 2) == 2
