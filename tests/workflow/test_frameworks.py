"""Agent loops as frameworks write them run on the loop of a turn, and any prefix of their history comes to the same."""

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from argosy import Context, StepFailedError, step
from argosy.errors import WorkflowError
from tests.harness import agents
from tests.harness.processes import ROOT
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

AGENTS = (agents.agent_of_nodes, agents.agent_of_events, agents.agent_of_anyio)


@pytest.fixture(autouse=True)
def _is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time of a list journal does not pass while steps run, so nothing is too slow."""
    monkeypatch.setattr(agents, "SLOW_S", 0.5)


def _journal(rows: list[Any], attempt: int) -> ListJournal:
    """One that a person says `go` in, unless history has it."""
    journal = ListJournal(rows, attempt=attempt)
    if not any(kind == "wait.completed" and key.endswith("signal:go") for _, _, kind, key, _ in rows):
        journal.signals = {"go": ["go"]}
    return journal


def _steps(rows: list[Any]) -> list[tuple[str, str]]:
    return [(kind, key) for _, _, kind, key, _ in rows if kind in ("step.completed", "step.failed")]


@pytest.mark.parametrize("agent", AGENTS)
async def test_an_agent_that_is_killed_after_any_event_comes_to_the_same(agent: Callable[..., Any]) -> None:
    whole = _journal([], 1)
    result = await run(agent, None, whole)

    async def run_from(cut: int) -> None:
        later = _journal(whole.rows[:cut], 2)
        assert await run(agent, None, later) == result
        recorded, again = _steps(whole.rows[:cut]), _steps(later.rows[cut:])
        assert not set(recorded) & set(again)
        assert sorted(recorded + again) == sorted(_steps(whole.rows))

    await asyncio.gather(*map(run_from, range(len(whole.rows))))


@pytest.mark.parametrize("agent", AGENTS)
async def test_an_agent_that_has_ended_runs_again_without_any_step(agent: Callable[..., Any]) -> None:
    whole = _journal([], 1)
    result = await run(agent, None, whole)

    again = _journal(whole.rows, 2)
    again_result = await run(agent, None, again)

    assert again_result == result
    assert again.rows == whole.rows


@pytest.mark.parametrize("agent", AGENTS)
async def test_an_agent_that_waits_for_a_person_leaves_nothing_behind_when_its_frames_are_closed(
    agent: Callable[..., Any],
) -> None:
    journal = ListJournal(passes_time=agent is not agents.agent_of_anyio)
    before = asyncio.all_tasks()
    running = asyncio.create_task(run(agent, None, journal))
    async with asyncio.timeout(5):
        while not any(kind == "signal" for kind, _, _ in journal.open_waits.values()):
            if agent is agents.agent_of_anyio:  # time passes by hand: its reminders would never let it rest
                for key in list(journal.open_waits):
                    journal.fire(key)
            await asyncio.sleep(0.01)
    rows = len(journal.rows)

    journal.is_stopped = True
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert len(journal.rows) == rows
    assert asyncio.all_tasks() == before
    assert [each.name for each in threading.enumerate() if each.name.startswith("AnyIO")] == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of that thread
async def test_threads_of_anyio_belong_in_a_step_and_the_error_says_so() -> None:
    async def flow(ctx: Context) -> str:
        return await anyio.to_thread.run_sync(lambda: "from a thread")

    with pytest.raises(WorkflowError, match="in a step"):
        await run(flow)

    for thread in threading.enumerate():
        if thread.name.startswith("AnyIO"):
            thread.join(5)  # it ends of the same error


async def test_steps_may_use_anyio_with_threads_as_they_like() -> None:
    async def work() -> list[str]:
        found: list[str] = []

        async def one(name: str) -> None:
            found.append(await anyio.to_thread.run_sync(lambda: name))

        async with anyio.create_task_group() as group:
            for name in ("a", "b"):
                group.start_soon(one, name)
        return sorted(found)

    async def flow(ctx: Context) -> Any:
        return await ctx.run(work)

    assert await run(flow) == ["a", "b"]


async def test_a_time_limit_of_anyio_around_a_wait_is_durable() -> None:
    async def flow(ctx: Context) -> list[Any]:
        with anyio.move_on_after(60) as limit:
            await ctx.wait_signal("never")
        try:
            with anyio.fail_after(30):
                await ctx.wait_signal("never either")
        except TimeoutError:
            return [limit.cancelled_caught, "too late"]
        return []

    journal = ListJournal()
    result = await run(flow, None, journal)

    assert result == [True, "too late"]
    for cut in range(len(journal.rows)):
        assert await run(flow, None, ListJournal(journal.rows[:cut], attempt=2)) == result


async def test_a_task_group_of_anyio_tells_of_the_error_that_came_first() -> None:
    async def fail(name: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        raise ValueError(name)

    async def flow(ctx: Context) -> list[str]:
        seen: list[str] = []
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(ctx.run, fail, "slow", 3.0)
                group.start_soon(ctx.run, fail, "quick", 0.01)
        except* StepFailedError as errors:
            seen = [str(error) for error in errors.exceptions]
        await ctx.sleep(1)
        return seen

    journal = ListJournal()
    assert await run(flow, None, journal) == ["quick"]
    assert await run(flow, None, ListJournal(journal.rows, attempt=2)) == ["quick"]


async def test_scopes_of_anyio_are_cancelled_in_the_order_in_which_they_were_entered() -> None:
    @step
    async def fail() -> None:
        raise ValueError("no")

    async def cancels(ctx: Context) -> list[int]:
        told: list[int] = []

        async def branch(number: int) -> None:
            with anyio.CancelScope():
                try:
                    await ctx.wait_signal("never")
                finally:
                    told.append(number)

        with contextlib.suppress(ExceptionGroup):
            async with anyio.create_task_group() as group:
                for number in range(30):
                    group.start_soon(branch, number)
                await ctx.run(fail)
        return told

    assert await run(cancels) == list(range(30))


async def test_scopes_of_anyio_in_a_step_are_as_anyio_makes_them() -> None:
    scope = anyio.CancelScope()

    assert type(scope._child_scopes) is set  # type: ignore[attr-defined]


_IMPORTS_LATE = """
import asyncio
from tests.workflow.running import run

async def flow(ctx):
    import anyio

    heard, apart = [], []

    async def branch(number):
        apart.extend(anyio.CancelScope() for _ in range(number * 7 % 5))
        del apart[::2]
        with anyio.CancelScope():
            try:
                await anyio.sleep(60)
            finally:
                heard.append(number)

    async with anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(branch, number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        group.cancel_scope.cancel()
    return heard

assert (heard := asyncio.run(run(flow))) == list(range(40)), heard
"""


def test_scopes_of_anyio_have_their_order_where_a_workflow_is_the_first_to_import_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS_LATE], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )

    assert done.returncode == 0, done.stderr
