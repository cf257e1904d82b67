"""A step is tried again, and takes too long: what is recorded, and where a crash leaves it."""

import asyncio
from typing import Any

import pytest

from argosy import Context, StepFailedError, step, step_info
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import BankError, run


async def test_a_failing_step_is_tried_again_after_a_durable_wait() -> None:
    keys = []

    @step(retries=3, backoff_s=1)
    async def charge() -> int:
        keys.append((step_info().idempotency_key, step_info().try_number))
        if len(keys) < 3:
            raise BankError("busy")
        return 7

    async def flow(ctx: Context) -> Any:
        return await ctx.run(charge)

    journal = ListJournal()
    result = await run(flow, None, journal)

    assert result == 7
    assert journal.waits == [("charge~1", "retry", "", 0.5), ("charge~2", "retry", "", 1.0)]
    assert journal.data("step.completed", "charge")["attempts"] == 3
    assert keys == [(f"{journal.turn_id}/charge", number) for number in (1, 2, 3)]


async def test_a_step_fails_for_good_when_its_retries_are_spent() -> None:
    tries = []

    @step(retries=2)
    async def charge() -> None:
        tries.append(1)
        raise BankError(f"busy {len(tries)}")

    async def flow(ctx: Context) -> None:
        await ctx.run(charge)

    journal = ListJournal()
    with pytest.raises(StepFailedError, match="busy 3"):
        await run(flow, None, journal)

    assert journal.data("step.failed", "charge")["attempts"] == 3


@pytest.mark.parametrize("recorded", ["step.retrying", "wait.started", "wait.completed"])
async def test_a_retry_goes_on_where_a_crash_left_it(recorded: str) -> None:
    tries: list[int] = []

    @step(retries=2)
    async def charge() -> int:
        tries.append(step_info().try_number)
        if step_info().try_number == 1:
            raise BankError("busy")
        return 7

    async def flow(ctx: Context) -> Any:
        return await ctx.run(charge)

    whole = ListJournal()
    await run(flow, None, whole)
    length = [row[2] for row in whole.rows].index(recorded) + 1
    after = ListJournal(whole.rows[:length], attempt=2)

    assert await run(flow, None, after) == 7
    assert tries == [1, 2, 2]
    assert [key for key, *_ in after.waits] == ([] if recorded == "wait.completed" else ["charge~1"])


async def test_a_slow_try_times_out_and_counts_as_failed() -> None:
    @step(timeout_s=0.02)
    async def dawdle() -> None:
        await asyncio.sleep(30)

    async def flow(ctx: Context) -> None:
        await ctx.run(dawdle)

    journal = ListJournal()
    with pytest.raises(StepFailedError) as failed:
        await run(flow, None, journal)

    assert failed.value.error_type == "StepTimeoutError"
    assert "timeout_s=0.02" in str(failed.value)


async def test_a_timeout_error_of_the_code_itself_is_not_taken_for_the_step_s() -> None:
    @step(timeout_s=10)
    async def ask() -> None:
        raise TimeoutError("the bank did not answer")

    async def flow(ctx: Context) -> None:
        await ctx.run(ask)

    with pytest.raises(StepFailedError, match="the bank did not answer") as failed:
        await run(flow)

    assert failed.value.error_type == "TimeoutError"


async def test_a_timeout_above_the_worker_s_bound_is_refused() -> None:
    @step(timeout_s=100)
    async def ask() -> None:
        raise AssertionError("must not run")

    async def flow(ctx: Context) -> None:
        await ctx.run(ask)

    with pytest.raises(StepFailedError, match="STEP_TIMEOUT_S_MAX"):
        await run(flow, step_timeout_s_max=99.0)
