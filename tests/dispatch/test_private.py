"""What is private of a step, in the events that a worker writes."""

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from argosy import Context, StepFailedError, emit, step
from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.turn import Stop
from tests.dispatch.turn_runner import *  # noqa: F403
from tests.dispatch.turn_runner import data_of, everything_shown, told, until, until_over


@step(private=True, retries=1, backoff_s=0.001, backoff_s_max=0.001)
async def pay_4711() -> None:
    emit("card_4711", text="4711")
    raise LookupError("card 4711")


async def test_nothing_of_a_private_step_that_failed_leaves(runner: Any) -> None:
    async def flow(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.run(pay_4711))

    turns = runner(flow)
    waiting = await turns.run()
    wait = msgspec.json.decode(waiting.waits)[0]
    turn = await turns.begin(waiting, Status.SUSPENDED)
    turn.journal.fire(wait["key"], uuid.UUID(wait["timer_id"]))
    await until_over(turn)

    assert wait["private"] is True
    assert turn.status is Status.FAILED
    assert data_of(turn, "turn.failed") == {"type": "StepFailedError", "message": "a private step failed"}
    assert [kind for kind, _key, data in told(waiting) + told(turn) if "private" in data] == [
        "step.retrying",
        "wait.started",
        "wait.completed",
        "step.failed",
    ]
    assert data_of(turn, "step.failed")["message"] == "card 4711"
    seen = everything_shown(turn)
    assert "4711" not in seen
    assert "LookupError" not in seen


async def test_the_error_of_a_private_step_that_the_code_handles_is_the_code_s(runner: Any) -> None:
    @step(private=True)
    async def pay() -> None:
        raise LookupError("card 4711")

    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(pay)
        except StepFailedError as error:
            return error.error_type
        return ""

    turn = await runner(flow).run()

    assert turn.result == b'"LookupError"'


async def test_a_private_step_that_parks_its_turn_is_not_named(runner: Any) -> None:
    @step(private=True, effect="at_most_once")
    async def pay_4711() -> None:
        await asyncio.Event().wait()

    async def flow(ctx: Context) -> None:
        await ctx.run(pay_4711)

    turns = runner(flow)
    crashed = await turns.begin()
    await until(lambda: "step.intended" in [kind for kind, *_ in told(crashed)])
    turn = await turns.run(crashed, Status.RUNNING, Resume.CRASHED)

    assert turn.status is Status.PARKED
    assert turn.events[-1].key == "pay_4711"
    assert "a private step is at_most_once" in everything_shown(turn)
    assert "4711" not in everything_shown(turn)
    resumed = await turns.begin(turn, Status.PARKED)
    await asyncio.sleep(0.01)
    assert resumed.status is Status.RUNNING
    for each in (crashed, resumed):
        turns.executor.stop(each, Stop.DROP)


@pytest.mark.parametrize("is_asked_private", [False, True])
async def test_a_private_step_that_the_code_no_longer_asks_for_is_not_named(
    runner: Any, is_asked_private: bool
) -> None:
    @step(private=True)
    async def pay_4711() -> int:
        return 1

    @step(name="refund_4712", private=is_asked_private)
    async def refund() -> int:
        return 1

    async def before(ctx: Context) -> None:
        await ctx.run(pay_4711)
        await ctx.wait_signal("go")

    async def after(ctx: Context) -> None:
        await ctx.run(refund)

    first = await runner(before).run()
    turn = await runner(after).run(first, Status.SUSPENDED, signals=("go",))

    assert turn.status is Status.PARKED
    message = msgspec.json.decode(turn.error)["message"]
    assert "the outcome of a private step" in message
    assert ("refund_4712" in message) is not is_asked_private
    assert "4711" not in everything_shown(turn)
