"""Threads that do not come back take nothing from others, up to a bound."""

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from argosy import StepFailedError, step
from argosy.errors import OwnershipLostError
from argosy.workflow.threads import Job, Label, ThreadPool, make_threads
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

LABEL = Label(uuid.UUID(int=1), "step")


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What calls wait for that never come back, as far as the test is concerned."""
    event = threading.Event()
    yield event
    event.set()


def pool(size: int = 2, abandoned_max: int = 2) -> ThreadPool:
    return ThreadPool("test", size=size, abandoned_max=abandoned_max, idle_max=size)


async def hang(threads: ThreadPool, stuck: threading.Event, times: int) -> list[Job]:
    """Calls that are abandoned while they run."""
    jobs = []
    for _ in range(times):
        began = threading.Event()
        jobs.append(threads.submit(lambda began=began: (began.set(), stuck.wait(30)), LABEL))  # type: ignore[misc]
        assert await asyncio.to_thread(began.wait, 5)
        threads.give_up(jobs[-1])
    return jobs


async def test_abandoned_threads_are_replaced_up_to_the_bound(stuck: threading.Event) -> None:
    threads = pool(size=2, abandoned_max=3)

    await hang(threads, stuck, 3)
    meeting = threading.Barrier(2)
    both = [threads.submit(meeting.wait, LABEL).ended for _ in range(2)]
    await asyncio.wait_for(asyncio.gather(*both), 5)

    assert (threads.abandoned, threads.is_exhausted) == (3, False)


async def test_beyond_the_bound_they_take_threads_from_others_and_that_shows(stuck: threading.Event) -> None:
    threads = pool(size=1, abandoned_max=1)

    await hang(threads, stuck, 2)
    waiting = threads.submit(lambda: 7, LABEL)
    await asyncio.sleep(0.05)

    assert threads.is_exhausted
    assert threads.waiting == [LABEL.turn_id]
    stuck.set()
    assert await asyncio.wait_for(waiting.ended, 5) == 7
    await _until(lambda: threads.abandoned == 0)
    assert (threads.waiting, threads.is_exhausted) == ([], False)


async def test_threads_that_took_the_place_of_others_end_when_those_come_back(stuck: threading.Event) -> None:
    def count() -> int:
        return sum(thread.name == "returns" for thread in threading.enumerate())

    threads = ThreadPool("returns", size=1, abandoned_max=9, idle_max=1)
    await hang(threads, stuck, 5)
    assert count() == 5

    stuck.set()
    await _until(lambda: (count(), threads.abandoned) == (1, 0))

    assert await asyncio.wait_for(threads.submit(lambda: 7, LABEL).ended, 5) == 7


async def test_a_call_that_waits_is_told_when_it_begins_and_one_that_is_given_up_before_never_begins(
    stuck: threading.Event,
) -> None:
    threads, begun = pool(size=1), []
    threads.submit(lambda: stuck.wait(30), LABEL)
    first = threads.submit(lambda: "ran", LABEL, lambda: begun.append("first"))
    second = threads.submit(lambda: begun.append("ran"), LABEL, lambda: begun.append("second"))

    threads.give_up(second)
    assert begun == []
    stuck.set()

    assert await asyncio.wait_for(first.ended, 5) == "ran"
    assert await asyncio.wait_for(threads.submit(lambda: 7, LABEL).ended, 5) == 7
    assert begun == ["first"]
    assert threads.abandoned == 0


async def test_a_closed_pool_begins_nothing_more(stuck: threading.Event) -> None:
    threads = pool(size=1)
    threads.submit(lambda: stuck.wait(30), LABEL)
    waiting = threads.submit(lambda: 7, LABEL)

    threads.close()

    with pytest.raises(OwnershipLostError):
        await waiting.ended
    with pytest.raises(OwnershipLostError):
        threads.submit(lambda: 7, LABEL)


async def test_a_system_without_room_for_a_thread_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    start, refusals = threading.Thread.start, [RuntimeError("can't start new thread")]

    def refuse_once(thread: threading.Thread) -> None:
        if refusals and thread.name == "test":
            raise refusals.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)

    assert await asyncio.wait_for(pool().submit(lambda: 7, LABEL).ended, 10) == 7
    assert not refusals


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_what_a_call_raises_is_raised(error: BaseException) -> None:
    def fail() -> None:
        raise error

    job = pool().submit(fail, LABEL)
    await asyncio.wait([job.ended], timeout=5)

    assert job.ended.exception() is error


async def test_the_timeout_of_a_step_begins_when_a_thread_does() -> None:
    """Two steps that take most of their time-out, and one thread."""
    threads = make_threads(steps=1, workflows=1, abandoned_max=0)
    nap = threading.Event()

    @step(timeout_s=2)
    def most() -> int:
        nap.wait(1.3)
        return 1

    async def flow(ctx: Any) -> int:
        return sum(await asyncio.gather(ctx.run(most), ctx.run(most)))

    assert await run(flow, None, ListJournal(), threads=threads) == 2


async def test_a_step_that_hangs_times_out_and_the_next_one_has_a_thread(stuck: threading.Event) -> None:
    threads = make_threads(steps=1, workflows=1, abandoned_max=1)

    @step(timeout_s=0.2)
    def hangs() -> None:
        stuck.wait(30)

    @step(timeout_s=5)
    def works() -> int:
        return 7

    async def flow(ctx: Any) -> list[Any]:
        found: list[Any] = []
        for each in (hangs, works):
            try:
                found.append(await ctx.run(each))
            except StepFailedError as error:
                found.append(error.error_type)
        return found

    assert await run(flow, None, ListJournal(), threads=threads) == ["StepTimeoutError", 7]
    assert threads.abandoned == 1


async def test_synchronous_workflows_that_never_come_back_are_counted(stuck: threading.Event) -> None:
    threads = make_threads(steps=1, workflows=1, abandoned_max=1)
    began = threading.Event()

    def sits(ctx: Any) -> None:
        began.set()
        stuck.wait(30)

    def works(ctx: Any) -> int:
        return 7

    task = asyncio.create_task(run(sits, None, ListJournal(), threads=threads))
    assert await asyncio.to_thread(began.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert threads.workflows.abandoned == 1
    assert await run(works, None, ListJournal(), threads=threads) == 7


async def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not become so within 5 s")
