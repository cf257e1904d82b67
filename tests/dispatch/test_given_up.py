"""What a workflow gives up, or leaves behind, harms nobody else."""

import asyncio
import gc
import uuid
import weakref
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from argosy import Context
from argosy.turn.status import Status
from argosy.workers.dispatch.signals import Signal
from argosy.workflow.current import current_try
from tests.dispatch.joined_parts import Parts, catalog, until
from tests.dispatch.turn_runner import *  # noqa: F403


async def gives_up_one_of_two(ctx: Context) -> Any:
    given_up, kept = asyncio.create_task(ctx.run(says, 1)), asyncio.create_task(ctx.run(says, 2))
    await ctx.wait_signal("go")
    given_up.cancel()
    return await kept


async def gives_up_one_and_goes_on(ctx: Context) -> Any:
    given_up = asyncio.create_task(ctx.run(says, 1))
    await ctx.wait_signal("go")
    given_up.cancel()
    return await ctx.run(says, 2)


async def says(what: int) -> int:
    return what


@pytest.mark.parametrize("flow", [gives_up_one_of_two, gives_up_one_and_goes_on])
async def test_a_step_that_is_given_up_while_what_is_before_it_is_written_takes_no_other_step_along(flow: Any) -> None:
    async with Parts(catalog(flow, "flow")) as parts:
        written = asyncio.Event()
        parts.stream.before = written.wait
        turn = parts.begin("flow")
        begun = 2 if flow is gives_up_one_of_two else 1
        await until(lambda: turn.journal is not None and len(turn.journal.active) == begun)

        assert turn.journal is not None
        turn.journal.deliver(Signal(uuid.uuid4(), "go", b"1"))
        await asyncio.sleep(0)
        written.set()
        await until(lambda: turn.has_ended)

        assert (turn.status, turn.result) == (Status.COMPLETED, b"2")


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
async def test_a_turn_has_no_context_variables_of_who_makes_room_for_it(runner: Any, status: Status) -> None:
    """That may be a turn of another tenant: its end frees a slot."""
    variable = ContextVar("variable", default="none")

    async def flow(ctx: Context) -> str:
        return variable.get()

    turns = runner(flow)
    variable.set("of another")
    turn = await turns.run(status=status)

    assert turn.result == b'"none"'


async def test_a_frame_that_catches_everything_ends_when_it_is_freed_while_a_step_runs(
    runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python closes a frame that is freed, wherever that happens: what it asks for then is not refused for ever."""
    monkeypatch.setattr("sys.unraisablehook", lambda _: None)  # that it ignores this is said, and is no error here
    kept: list[Any] = []
    tries = 0

    async def stubborn(ctx: Context) -> None:
        nonlocal tries
        task: Any = asyncio.current_task()
        kept.append(task.get_coro())
        del task
        while tries < 1_000:
            try:
                await ctx.wait_signal("go")
            except BaseException:  # that is the habit
                tries += 1
                continue

    turn = await runner(stubborn).run()
    del turn
    frame = weakref.ref(kept[0])

    def in_a_step() -> None:
        current_try.set(object())  # type: ignore[arg-type]
        kept.clear()
        gc.collect()

    copy_context().run(in_a_step)

    assert frame() is None
    assert tries < 100
