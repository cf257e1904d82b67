"""What steps and workflows show while they run."""

import asyncio
import threading
import time
from enum import StrEnum
from typing import Any

import msgspec
import pytest

from argosy import Context, StepFailedError, SyncContext, WorkflowError, emit, step
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.own_emits import Kept
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run


async def test_the_event_that_ends_a_step_holds_what_it_emitted() -> None:
    @step
    async def answer() -> str:
        for token in ("It ", "is ", "42."):
            emit("tokens", text=token)
        emit("state", json={"done": 0})
        emit("state", patch=[{"op": "replace", "path": "/done", "value": 1}])
        return "42"

    async def flow(ctx: Context) -> Any:
        return await ctx.run(answer)

    journal = ListJournal()
    assert await run(flow, None, journal) == "42"

    assert journal.data("step.completed", "answer") == {
        "result": "42",
        "attempts": 1,
        "channels": {"tokens": {"text": "It is 42."}, "state": {"json": {"done": 1}}},
    }
    assert journal.reveal().open() == []


async def test_a_synchronous_step_emits_from_its_thread() -> None:
    def answer() -> bool:
        emit("tokens", text="from a thread")
        return threading.current_thread() is threading.main_thread()

    def flow(ctx: SyncContext) -> Any:
        emit("log", text="before")
        return ctx.run(answer)

    journal = ListJournal()
    assert await run(flow, None, journal) is False

    assert journal.data("step.completed", "answer")["channels"] == {"tokens": {"text": "from a thread"}}
    assert msgspec.json.decode(journal.reveal().own()) == {"log": {"text": "before"}}


async def test_a_thread_that_carries_the_step_s_context_emits_for_it() -> None:
    async def answer() -> None:
        await asyncio.to_thread(emit, "tokens", text="helped")

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)

    journal = ListJournal()
    await run(flow, None, journal)

    assert journal.data("step.completed", "answer")["channels"] == {"tokens": {"text": "helped"}}


async def test_steps_beside_each_other_have_channels_of_their_own() -> None:
    async def answer(word: str) -> None:
        for letter in word:
            emit("tokens", text=letter)
            await asyncio.sleep(0)

    async def flow(ctx: Context) -> None:
        await asyncio.gather(ctx.run(answer, "one"), ctx.run(answer, "two"))
        emit("tokens", text="mine")

    journal = ListJournal()
    await run(flow, None, journal)

    assert journal.data("step.completed", "answer")["channels"] == {"tokens": {"text": "one"}}
    assert journal.data("step.completed", "answer#2")["channels"] == {"tokens": {"text": "two"}}
    assert msgspec.json.decode(journal.reveal().own()) == {"tokens": {"text": "mine"}}


async def test_a_retry_clears_what_the_try_before_emitted() -> None:
    tries: list[int] = []

    @step(retries=2)
    async def answer() -> None:
        tries.append(1)
        emit("tokens", text=f"try {len(tries)}")
        if len(tries) < 3:
            raise ValueError("again")

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)

    journal = ListJournal()
    await run(flow, None, journal)

    assert "channels" not in journal.data("step.retrying", "answer")
    assert journal.data("step.completed", "answer")["channels"] == {"tokens": {"text": "try 3"}}


async def test_a_step_that_the_code_gave_up_leaves_no_channel_open() -> None:
    async def answer() -> None:
        emit("tokens", text="half")
        await asyncio.sleep(30)

    async def flow(ctx: Context) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ctx.run(answer)

    journal = ListJournal()
    await run(flow, None, journal)

    assert journal.reveal().open() == []


async def test_a_step_that_fails_for_good_leaves_what_it_emitted() -> None:
    async def answer() -> None:
        emit("tokens", text="half of i")
        raise ValueError("no")

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)

    journal = ListJournal()
    with pytest.raises(StepFailedError):
        await run(flow, None, journal)

    recorded = journal.data("step.failed", "answer")
    del recorded["traceback"]
    assert recorded == {
        "type": "ValueError",
        "message": "no",
        "attempts": 1,
        "channels": {"tokens": {"text": "half of i"}},
    }


async def test_what_the_workflow_emitted_before_a_suspend_is_not_emitted_again() -> None:
    async def flow(ctx: Context) -> None:
        emit("log", text="a")
        await ctx.sleep(1)
        emit("log", text="b")

    journal = ListJournal([(1, 1, "wait.started", "sleep", b"{}"), (2, 1, "wait.completed", "sleep", b"{}")])
    journal.kept = Kept({"log": {"text": "a"}}, {"log": [1]})
    await run(flow, None, journal)

    assert msgspec.json.decode(journal.reveal().own()) == {"log": {"text": "ab"}}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "exactly one"),
        ({"text": "a", "json": None}, "exactly one"),
        ({"text": "a", "patch": []}, "exactly one"),
        ({"text": b"a"}, "string, not bytes"),
        ({"text": "\ud800"}, "lone surrogate"),
        ({"text": "x" * 2_000_000}, "2000000 bytes, the bound is EMIT_SIZE_BYTES_MAX=1000"),
        ({"json": {"a": object()}}, "object at"),
        ({"json": float("nan")}, "nan"),
        ({"patch": [{"op": "remove", "path": "/a"}]}, "does not apply"),
    ],
)
@pytest.mark.parametrize("comes", ["first", "after another", "while somebody watches"])
async def test_a_wrong_emit_is_an_error_of_the_step(arguments: Any, says: str, comes: str) -> None:
    runs = []
    journal = ListJournal()

    @step(retries=3)
    async def answer() -> None:
        runs.append(1)
        if comes != "first":
            emit("tokens", text="a")
        if comes == "while somebody watches":
            journal.reveal()
        emit("tokens" if "text" in arguments else "state", **arguments)

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)

    with pytest.raises(StepFailedError, match=says):
        await run(flow, None, journal)

    assert len(runs) == 1


async def test_a_channel_that_was_refused_before_it_held_anything_can_be_filled_all_the_same() -> None:
    @step
    async def answer() -> None:
        emit("tokens", text="")
        with pytest.raises(WorkflowError, match="EMIT_SIZE_BYTES_MAX"):
            emit("tokens", text="x" * 2_000_000)
        emit("tokens", text="a")
        emit("tokens", text="b")

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)

    journal = ListJournal()
    await run(flow, None, journal)

    assert journal.data("step.completed", "answer")["channels"] == {"tokens": {"text": "ab"}}


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", None, 5])
async def test_a_channel_has_a_name(name: Any) -> None:
    async def flow(ctx: Context) -> None:
        emit(name, text="a")

    with pytest.raises(WorkflowError, match="name is a string of 1 to 64"):
        await run(flow)


class Name(StrEnum):
    TOKENS = "tokens"


class Text(str):
    """Somebody's own kind of string."""


@pytest.mark.parametrize("name", [Name.TOKENS, Text("tokens"), "tokens"])
@pytest.mark.parametrize("text", [Name.TOKENS, Text("tokens"), "tokens", Text("tökens")])
async def test_whatever_is_a_string_is_one(name: str, text: str) -> None:
    @step
    async def answer() -> None:
        emit(name, text=text)
        emit("tokens", text=text)
        emit(name, text="!")

    async def flow(ctx: Context) -> None:
        emit(name, text=text)
        await ctx.run(answer)

    journal = ListJournal()
    await run(flow, None, journal)

    said = "tökens" if text.startswith("tö") else "tokens"
    assert journal.data("step.completed", "answer")["channels"] == {"tokens": {"text": said * 2 + "!"}}
    assert msgspec.json.decode(journal.reveal().own()) == {"tokens": {"text": said}}


async def test_ten_thousand_emits_cost_little() -> None:
    @step
    async def answer() -> int:
        for number in range(10_000):
            emit("tokens", text="xyz " if number % 2 else "ü")
        return 1

    async def flow(ctx: Context) -> Any:
        began_s = time.process_time()
        await ctx.run(answer)
        return time.process_time() - began_s

    journal = ListJournal()
    journal.bounds = ChannelBounds(1_000, 100_000, 100_000, 8)

    assert await run(flow, None, journal) < 0.5
    assert len(journal.data("step.completed", "answer")["channels"]["tokens"]["text"]) == 25_000
