"""What a turn emits, in the events that a worker writes."""

import asyncio
from typing import Any

import msgspec
import pytest

from argosy import Context, emit
from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.turn import Stop
from tests.dispatch.turn_runner import *  # noqa: F403
from tests.dispatch.turn_runner import data_of, everything_shown, opened, until, until_over


async def chats(ctx: Context) -> None:
    """Says a, waits, says b, waits, says c."""
    emit("log", text="a")
    emit("state", json=1)
    await ctx.wait_signal("go")
    emit("log", text="b")
    await ctx.wait_signal("go")
    emit("log", text="c")


async def test_a_suspend_holds_what_has_changed_since_the_one_before_and_the_end_holds_all(runner: Any) -> None:
    turns = runner(chats)
    first = await turns.run()
    second = await turns.run(first, Status.SUSPENDED, signals=("go",))
    third = await turns.run(second, Status.SUSPENDED, signals=("go",))

    assert data_of(first, "turn.suspended") == {
        "channels": {"log": {"text": "a"}, "state": {"json": 1}},
        "emits": {"log": [1], "state": [1]},
    }
    assert data_of(second, "turn.suspended") == {
        "channels": {"log": {"text": "ab"}},
        "emits": {"log": [2], "state": [1]},
    }
    assert third.status is Status.COMPLETED
    assert data_of(third, "turn.completed") == {"channels": {"log": {"text": "abc"}, "state": {"json": 1}}}
    assert "emits" not in everything_shown(third)


async def test_what_the_code_says_while_it_is_suspended_is_said_at_its_end_alone(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        try:
            emit("log", text="a")
            await ctx.wait_signal("go")
        finally:
            emit("log", text="z")

    turns = runner(flow)
    first = await turns.run()
    last = await turns.run(first, Status.SUSPENDED, signals=("go",))

    assert data_of(first, "turn.suspended") == {"channels": {"log": {"text": "a"}}, "emits": {"log": [1]}}
    assert first.channels.open()[0].text() == "a"
    assert data_of(last, "turn.completed") == {"channels": {"log": {"text": "az"}}}


async def test_after_a_crash_filling_goes_on_from_the_last_suspend(runner: Any) -> None:
    go_on = asyncio.Event()

    async def flow(ctx: Context) -> None:
        emit("log", text="a")
        await ctx.wait_signal("go")
        emit("log", text="b")
        await ctx.run(until_released)
        emit("log", text="c")

    async def until_released() -> None:
        emit("tokens", text="half")
        await go_on.wait()

    turns = runner(flow)
    first = await turns.run()
    crashed = await turns.begin(first, Status.SUSPENDED, signals=("go",))
    await until(lambda: opened(crashed) == 2)
    again = await turns.begin(crashed, Status.RUNNING, Resume.CRASHED)
    await until(lambda: opened(again) == 2)
    log, tokens = again.channels.open()

    assert (log.text(), log.is_refilled, tokens.text()) == ("ab", False, "half")
    assert again.attempt == 2
    go_on.set()
    await until_over(again, crashed)
    assert data_of(again, "step.completed")["channels"] == {"tokens": {"text": "half"}}
    assert data_of(again, "turn.completed") == {"channels": {"log": {"text": "abc"}}}


async def test_at_a_new_owner_the_workflow_s_channels_are_filled_again_and_say_so(runner: Any) -> None:
    turns = runner(chats)
    first = await turns.run()
    second = await turns.run(first, Status.SUSPENDED, signals=("go",))
    before_suspend = second.seq - 2
    moved = await turns.run(second, Status.RUNNING, Resume.MOVED, until=before_suspend)

    assert moved.attempt == 1
    assert {channel.name: (channel.is_refilled, channel.length) for channel in moved.channels.open()} == {
        "log": (True, 2),
        "state": (True, 1),
    }


async def test_the_outcome_of_a_step_that_is_handed_over_has_its_channels(runner: Any) -> None:
    go_on = asyncio.Event()

    async def answer() -> int:
        emit("tokens", text="half ")
        await go_on.wait()
        emit("tokens", text="whole")
        return 1

    async def flow(ctx: Context) -> None:
        await ctx.run(answer)

    turns = runner(flow)
    turn = await turns.begin()
    await until(lambda: opened(turn) == 1)
    turn.stop = Stop.HANDOVER
    go_on.set()
    await until(lambda: turn.journal.outcomes)
    turn.execution.cancel()

    (outcome,) = turn.journal.outcomes
    assert msgspec.json.decode(outcome.data)["channels"] == {"tokens": {"text": "half whole"}}


@pytest.mark.parametrize(
    ("why", "kind"), [(Stop.CANCEL, "turn.cancelled"), (Stop.EXPIRE, "turn.expired")], ids=["cancelled", "expired"]
)
async def test_a_turn_that_is_stopped_leaves_what_its_workflow_said(runner: Any, why: Stop, kind: str) -> None:
    async def flow(ctx: Context) -> None:
        emit("log", text="a")
        await ctx.run(asyncio.Event().wait)

    turns = runner(flow)
    turn = await turns.begin()
    await until(lambda: opened(turn) == 1)
    turns.executor.stop(turn, why)
    await until_over(turn)

    assert data_of(turn, kind) == {"channels": {"log": {"text": "a"}}}


@pytest.mark.parametrize("is_followed", [False, True])
async def test_a_resumed_turn_that_is_stopped_before_it_emits_is_the_same_for_who_watches(
    runner: Any, is_followed: bool
) -> None:
    async def flow(ctx: Context) -> None:
        runs.append(ctx.attempt)
        if len(runs) == 2:
            await ctx.run(asyncio.Event().wait)
        emit("log", text="a")
        await ctx.wait_signal("go")

    turns, runs = runner(flow), list[int]()
    first = await turns.run()
    turns.has_listener = is_followed
    resumed = await turns.begin(first, Status.SUSPENDED, signals=("go",))
    await until(lambda: len(runs) == 2)
    turns.executor.stop(resumed, Stop.CANCEL)
    await until_over(resumed)

    assert data_of(first, "turn.suspended")["channels"] == {"log": {"text": "a"}}
    assert data_of(resumed, "turn.cancelled") == {}


async def test_a_turn_that_fails_leaves_what_its_workflow_said(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        emit("log", text="a")
        raise ValueError("no")

    turn = await runner(flow).run()

    error = msgspec.json.decode(turn.error)
    assert data_of(turn, "turn.failed") == error | {"channels": {"log": {"text": "a"}}}
    assert 'in flow: raise ValueError("no")' in error.pop("traceback")
    assert error == {"type": "ValueError", "message": "no"}


async def test_a_turn_that_emits_nothing_writes_what_it_always_wrote(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        await ctx.wait_signal("go")

    turns = runner(flow)
    first = await turns.run()
    last = await turns.run(first, Status.SUSPENDED, signals=("go",))

    assert data_of(first, "turn.suspended") == data_of(last, "turn.completed") == {}
    assert first.channels is last.channels is None


async def test_who_watches_is_asked_when_a_turn_begins_and_when_it_has_channels(runner: Any) -> None:
    def in_thread() -> None:
        emit("tokens", text="a")

    async def flow(ctx: Context) -> None:
        await ctx.run(in_thread)
        emit("log", text="a")

    turns = runner(flow)
    turn = await turns.run()

    assert turns.asked == [turn, turn]
