"""Emits that come from outside of a try, or after its end."""

import asyncio
import threading
from contextvars import Context as VariableContext

import pytest

from argosy import Context, WorkflowError, emit, step
from argosy.workflow.current import Try, current_try
from tests.workflow.emitting import inside
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run


def test_emit_outside_of_any_turn_is_refused() -> None:
    with pytest.raises(WorkflowError, match="inside a step or a workflow"):
        emit("tokens", text="a")


async def test_emit_in_a_foreign_thread_is_refused() -> None:
    errors: list[str] = []

    def shout() -> None:
        try:
            emit("tokens", text="a")
        except WorkflowError as error:
            errors.append(str(error))

    async def answer() -> None:
        thread = threading.Thread(target=VariableContext().run, args=(shout,))
        thread.start()
        await asyncio.to_thread(thread.join, 5)

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)

    journal = ListJournal()
    await run(flow, None, journal)

    assert "inside a step or a workflow" in errors[0]
    assert journal.reveal().open() == []


async def test_emit_after_the_end_of_the_step_is_refused() -> None:
    late: list[asyncio.Task[None]] = []

    async def shout() -> None:
        await asyncio.sleep(0.01)
        emit("tokens", text="late")

    async def answer() -> None:
        emit("tokens", text="in time")
        late.append(asyncio.create_task(shout()))

    async def look() -> str:
        try:
            await late[0]
        except WorkflowError as error:
            return str(error)
        return ""

    async def flow(ctx: Context) -> str:
        await ctx.run(answer)
        return await ctx.run(look)

    journal = ListJournal()

    assert "'answer' is over" in await run(flow, None, journal)
    assert journal.channels().open() == []


async def test_emit_after_the_try_timed_out_is_refused_while_the_next_one_emits() -> None:
    go_on, said, errors, tries = threading.Event(), threading.Event(), [], []

    @step(retries=1, timeout_s=0.2)
    def answer() -> None:
        tries.append(1)
        emit("tokens", text=f"{len(tries)}")
        if len(tries) == 2:
            return go_on.set()
        go_on.wait(5)
        try:
            emit("tokens", text="late")
        except WorkflowError as error:
            errors.append(str(error))
        return said.set()

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)
        await ctx.run(said.wait, 5)

    journal = ListJournal()
    await run(flow, None, journal)

    assert "'answer' is over" in errors[0]
    assert journal.data("step.completed", "answer")["channels"] == {"tokens": {"text": "2"}}


async def test_emit_after_the_end_of_the_workflow_is_refused() -> None:
    refused: list[str] = []

    async def shout() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                emit("log", text="late")
            except WorkflowError as error:
                refused.append(str(error))

    async def flow(ctx: Context) -> None:
        task = asyncio.create_task(shout())
        await asyncio.sleep(0)
        assert not task.done()

    await run(flow)

    assert refused == ["the turn rests or has ended: nothing of it emits any more"]


async def test_emit_between_the_end_of_a_step_s_code_and_its_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals: list[str] = []

    @step
    async def answer() -> None:
        emit("tokens", text="in time")
        tries.append(current_try.get())

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)

    def late(point: str) -> None:
        this = tries.pop()
        assert this is not None
        with inside(this.attempt, this), pytest.raises(WorkflowError) as refused:
            emit("tokens", text="late")
        refusals.append(str(refused.value))

    tries: list[Try | None] = []
    monkeypatch.setattr("argosy.crash_points.reach", late)
    journal = ListJournal()
    await run(flow, None, journal)

    assert refusals == ["this try of step 'answer' is over: it emits no more"]
    assert journal.data("step.completed", "answer")["channels"] == {"tokens": {"text": "in time"}}
