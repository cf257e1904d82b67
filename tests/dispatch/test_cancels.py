"""What a worker does with cancels of turns whose code has begun."""

import asyncio
import uuid
from contextlib import suppress
from typing import Any

import pytest

from argosy import Context, SyncContext, step
from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.turn_runner import *  # noqa: F403
from tests.dispatch.turn_runner import Runner, data_of, told, until


def cancel(turns: Runner, turn: Turn) -> None:
    turn.cancel_id = uuid.uuid4()
    turns.executor.cancels.take(turn)


async def ended(turn: Turn) -> Turn:
    await until(lambda: turn.has_ended)
    return turn


def types(turn: Turn) -> list[str]:
    return [kind for kind, _, _ in told(turn)]


async def test_a_running_turn_cleans_up_and_ends_cancelled_whatever_its_code_returns(runner: Any) -> None:
    begun = asyncio.Event()

    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(hangs)
        except asyncio.CancelledError:
            await ctx.run(releases)
        return "as if nothing had happened"

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def releases() -> None:
        pass

    turns = runner(flow)
    turn = await turns.begin()
    await begun.wait()
    cancel(turns, turn)
    said = turn.reason
    await ended(turn)

    assert types(turn) == ["turn.started", "turn.cancelling", "step.cancelled", "step.completed", "turn.cancelled"]
    assert data_of(turn, "turn.cancelling") == {"until": "1970-01-01T00:17:10Z"}
    assert (turn.status, turn.result, turn.error) == (Status.CANCELLED, None, None)
    assert (said, turn.reason) == ("cancelling", None)
    assert turn.moves == {turn.cancel_id: "consumed"}


async def test_a_second_cancel_changes_nothing(runner: Any) -> None:
    heard, begun, go_on = list[int](), asyncio.Event(), asyncio.Event()

    async def flow(ctx: Context) -> None:
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            heard.append(1)
            await ctx.run(releases)
            raise

    async def releases() -> None:
        begun.set()
        await go_on.wait()

    turns = runner(flow)
    turn = await turns.begin(await turns.run(), Status.SUSPENDED)
    cancel(turns, turn)
    await begun.wait()
    cancel(turns, turn)
    go_on.set()
    await ended(turn)

    assert heard == [1]
    assert types(turn) == ["turn.resumed", "turn.cancelling", "step.completed", "turn.cancelled"]


async def test_a_turn_in_clean_up_is_not_suspended(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            await ctx.sleep(1)
            raise

    turns = runner(flow, cancel_cleanup_s=0.1)
    suspended = await turns.run()
    turn = await turns.begin(suspended, Status.SUSPENDED, signals=("other",))
    cancel(turns, turn)
    await until(lambda: turn.journal is not None and "sleep" in turn.journal.waits.open)
    assert turn.status is Status.RUNNING
    turn.journal.fire("sleep", turn.journal.waits.open["sleep"].timer_id)
    await ended(turn)

    assert "turn.suspended" not in types(turn)
    assert turn.error is None


@pytest.mark.parametrize("is_sync", [False, True])
async def test_what_is_not_done_in_time_is_cut_off_and_said(runner: Any, is_sync: bool) -> None:
    async def swallows(ctx: Context) -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await ctx.wait_signal("go")

    def swallows_in_thread(ctx: SyncContext) -> None:
        while True:
            with suppress(asyncio.CancelledError):
                ctx.wait_signal("go")

    turns = runner(swallows_in_thread if is_sync else swallows, is_async=not is_sync, cancel_cleanup_s=0.1)
    turn = await turns.begin(await turns.run(), Status.SUSPENDED)
    cancel(turns, turn)
    await ended(turn)

    message = "its clean-up took longer than CANCEL_CLEANUP_S=0.1"
    assert data_of(turn, "turn.cancelled") == {"type": "CleanupCutOff", "message": message}
    assert b"CleanupCutOff" in (turn.error or b"")


async def test_a_clean_up_that_fails_ends_cancelled_and_says_so(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            raise ValueError("no key to the door") from None

    turns = runner(flow)
    turn = await turns.begin(await turns.run(), Status.SUSPENDED)
    cancel(turns, turn)
    await ended(turn)

    told_last = data_of(turn, "turn.cancelled")
    assert turn.status is Status.CANCELLED
    assert (told_last["type"], told_last["message"]) == ("ValueError", "no key to the door")


async def test_after_a_crash_the_clean_up_goes_on_until_the_same_time(runner: Any) -> None:
    made, go_on = list[str](), asyncio.Event()

    async def flow(ctx: Context) -> None:
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            await ctx.run(notes, "first")
            await ctx.run(waits)
            raise

    async def notes(what: str) -> None:
        made.append(what)

    async def waits() -> None:
        made.append("waits")
        await go_on.wait()

    turns = runner(flow)
    crashed = await turns.begin(await turns.run(), Status.SUSPENDED)
    cancel(turns, crashed)
    await until(lambda: "waits" in made)
    turns.clock.now_s += 10
    again = await turns.begin(crashed, Status.RUNNING, Resume.CRASHED)
    await until(lambda: made == ["first", "waits", "waits"])
    go_on.set()
    await ended(again)

    assert types(again) == ["turn.reset", "step.completed", "turn.cancelled"]
    assert again.cancel_until_s == crashed.cancel_until_s == 1_030.0


async def test_a_turn_whose_time_is_over_when_it_is_taken_over_ends_without_its_code(runner: Any) -> None:
    runs = list[int]()

    async def flow(ctx: Context) -> None:
        runs.append(1)
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            await ctx.run(hangs)

    async def hangs() -> None:
        await asyncio.Event().wait()

    turns = runner(flow)
    crashed = await turns.begin(await turns.run(), Status.SUSPENDED)
    cancel(turns, crashed)
    await until(lambda: len(runs) == 2)
    turns.clock.now_s += 31
    again = await turns.begin(crashed, Status.RUNNING, Resume.CRASHED)

    assert again.status is Status.CANCELLED
    assert len(runs) == 2
    assert data_of(again, "turn.cancelled")["type"] == "CleanupCutOff"


async def test_a_turn_without_a_slot_ends_without_its_code_when_the_time_is_over(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        await ctx.wait_signal("go")

    suspended = await runner(flow).run()
    turns = runner(flow, slots=0, cancel_cleanup_s=0.1)
    turn = await turns.begin(suspended, Status.SUSPENDED)
    assert turns.executor.will_begin(turn)
    cancel(turns, turn)
    assert not turn.has_ended
    await ended(turn)

    assert types(turn) == ["turn.cancelled"]


async def test_what_would_park_a_turn_ends_its_clean_up(runner: Any) -> None:
    begun, runs = asyncio.Event(), list[int]()

    @step(effect="at_most_once")
    async def pays_back() -> None:
        runs.append(1)
        begun.set()
        await asyncio.Event().wait()

    async def flow(ctx: Context) -> None:
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            await ctx.run(pays_back)

    turns = runner(flow)
    crashed = await turns.begin(await turns.run(), Status.SUSPENDED)
    cancel(turns, crashed)
    await begun.wait()
    again = await turns.run(crashed, Status.RUNNING, Resume.CRASHED)

    assert again.status is Status.CANCELLED
    assert data_of(again, "turn.cancelled")["type"] == "uncertain_effect"
    assert runs == [1]


async def test_code_that_has_returned_completes_although_a_cancel_came(runner: Any) -> None:
    async def flow(ctx: Context) -> int:
        return 1

    turns = runner(flow)
    turn = await turns.begin()
    turn.journal._advance()  # the code runs to its end here, and its turn ends with the next pass of the loop
    await asyncio.sleep(0)
    cancel(turns, turn)
    await ended(turn)

    assert turn.status in (Status.COMPLETED, Status.CANCELLED)
    assert (turn.status is Status.COMPLETED) == (turn.result is not None)
