"""Synchronous steps and synchronous workflows."""

import asyncio
import contextlib
import threading
import time
from contextvars import ContextVar
from typing import Any

import pytest

from argosy import StepFailedError, SyncContext, WaitTimeoutError, step, step_info
from argosy.errors import OwnershipLostError
from argosy.workflow.definition import workflow, workflow_of
from argosy.workflow.execute import execute
from argosy.workflow.journal import Park
from argosy.workflow.threads import make_threads
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

who: ContextVar[str] = ContextVar("who", default="nobody")


async def test_a_synchronous_step_runs_in_a_thread_and_knows_itself() -> None:
    def look() -> list[Any]:
        return [threading.current_thread() is threading.main_thread(), step_info().step_key, who.get()]

    async def flow(ctx: Any) -> Any:
        who.set("the workflow")
        return await ctx.run(look)

    assert await run(flow) == [False, "look", "the workflow"]


async def test_synchronous_steps_run_beside_each_other() -> None:
    together = threading.Barrier(3)

    def meet() -> None:
        together.wait(5)

    async def flow(ctx: Any) -> None:
        await asyncio.gather(*(ctx.run(meet) for _ in range(3)))

    await run(flow)


async def test_what_a_thread_returns_after_its_timeout_is_ignored() -> None:
    go_on = threading.Event()
    returned = threading.Event()

    @step(timeout_s=0.05)
    def dawdle() -> int:
        go_on.wait(5)
        returned.set()
        return 7

    async def flow(ctx: Any) -> str:
        try:
            await ctx.run(dawdle)
        except StepFailedError as error:
            go_on.set()
            await ctx.run(returned.wait, 5)
            return error.error_type
        return ""

    journal = ListJournal()

    assert await run(flow, None, journal) == "StepTimeoutError"
    assert journal.outcomes() == [("step.failed", "dawdle"), ("step.completed", "wait")]


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration(), SystemExit(1), Park("x", "y")])
async def test_whatever_a_thread_raises_arrives(error: BaseException) -> None:
    def stumble() -> None:
        raise error

    async def flow(ctx: Any) -> None:
        await ctx.run(stumble)

    with pytest.raises((StepFailedError, Park)):
        await run(flow)


async def test_a_coroutine_that_a_wrapper_hands_out_is_awaited() -> None:
    async def inner() -> int:
        return 7

    def wrapper() -> Any:
        return inner()

    async def flow(ctx: Any) -> Any:
        return await ctx.run(wrapper)

    assert await run(flow) == 7


async def test_a_pool_that_is_closed_means_that_the_turn_goes_on_elsewhere() -> None:
    threads = make_threads(steps=1, workflows=1, abandoned_max=0)
    threads.close()

    def touch() -> None:
        raise AssertionError("must not run")

    async def flow(ctx: Any) -> None:
        await ctx.run(touch)

    journal = ListJournal()
    with pytest.raises(OwnershipLostError):
        await run(flow, None, journal, threads=threads)

    assert journal.outcomes() == []


async def echo(value: Any) -> Any:
    return value


def test_a_synchronous_workflow_does_all_that_an_asynchronous_one_does() -> None:
    def flow(ctx: SyncContext, job: dict[str, Any]) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        answers = [ctx.run(echo, job["n"]), ctx.run(lambda_free, 2), ctx.wait_signal("go")]
        ctx.sleep(5)
        try:
            ctx.wait_signal("never", timeout_s=1)
        except WaitTimeoutError as error:
            answers.append(str(error))
        return [
            *answers,
            ctx.now().isoformat(),
            str(ctx.uuid()),
            str(ctx.turn_id),
            ctx.session,
            ctx.tenant,
            ctx.attempt,
        ]

    def lambda_free(value: int) -> int:
        return value + 1

    journal = ListJournal()
    journal.signals = {"go": ["yes"]}
    first = asyncio.run(run(flow, {"n": 1}, journal))
    again = asyncio.run(run(flow, {"n": 1}, ListJournal(journal.rows)))

    assert first == again
    assert first[:4] == [1, 3, "yes", "no signal 'never' came in time"]


async def test_more_synchronous_workflows_than_threads_do_not_wait_for_each_other() -> None:
    def look(value: int) -> int:
        return value

    @workflow
    def flow(ctx: SyncContext, value: int) -> Any:
        return [ctx.run(look, value) for _ in range(3)]

    definition = workflow_of(flow)
    assert definition is not None
    with contextlib.closing(make_threads(steps=1, workflows=20, abandoned_max=0)) as threads:
        runs = [
            execute(definition, ListJournal(), b"%d" % number, threads=threads, payload_size_bytes_max=999)
            for number in range(20)
        ]
        results = await asyncio.wait_for(asyncio.gather(*runs), 20)

    assert results == [b"[%d,%d,%d]" % (number, number, number) for number in range(20)]


async def test_a_suspended_synchronous_workflow_unwinds_its_thread() -> None:
    states: list[str] = []
    threads: list[threading.Thread] = []
    waits = threading.Event()

    def flow(ctx: SyncContext) -> None:
        threads.append(threading.current_thread())
        try:
            waits.set()
            ctx.wait_signal("go")
        except Exception:
            states.append("swallowed")
        finally:
            states.append("unwound")

    journal = ListJournal()
    task = asyncio.create_task(run(flow, None, journal))
    await asyncio.to_thread(waits.wait, 5)
    await asyncio.wait_for(journal.is_waiting.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert states == ["unwound"]
    await asyncio.to_thread(threads[0].join, 5)  # its last line of ours is behind it, its end may not be
    assert not threads[0].is_alive()


async def test_a_thread_that_comes_late_cannot_begin_anything() -> None:
    go_on, states = threading.Event(), []

    def flow(ctx: SyncContext) -> None:
        go_on.wait(5)
        try:
            ctx.run(echo, 1)
        except BaseException as error:
            states.append(type(error).__name__)
            raise

    journal = ListJournal()
    task = asyncio.create_task(run(flow, None, journal))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    began_s = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "workflow":
            await asyncio.to_thread(thread.join, 5)

    assert time.monotonic() - began_s < 5
    assert states in (["Unwind"], [])  # [] when it was cancelled before its thread began
    assert journal.outcomes() == []


async def test_what_a_synchronous_workflow_raises_is_raised() -> None:
    def fails(ctx: SyncContext) -> None:
        raise ValueError("no")

    def parks(ctx: SyncContext) -> None:
        ctx.run(pay)

    @step(effect="at_most_once")
    async def pay() -> None:
        raise AssertionError("must not run")

    with pytest.raises(ValueError, match="no"):
        await run(fails)
    with pytest.raises(Park):
        await run(parks, None, ListJournal([(1, 1, "step.intended", "pay", b"{}")]))
