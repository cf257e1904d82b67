"""A step runs, is recorded once, fails, and is cut off."""

import asyncio
import math
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from argosy import Context, StepFailedError, step
from argosy.errors import OwnershipLostError
from argosy.turn.events import Event
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import SIZE_BYTES_MAX, BankError, run


async def test_the_result_of_a_step_is_recorded_and_returned() -> None:
    @step
    async def charge(order: dict[str, Any], currency: str) -> dict[str, Any]:
        return {"paid": order["total"], "currency": currency}

    async def checkout(ctx: Context, order: dict[str, Any]) -> Any:
        return await ctx.run(charge, order, currency="EUR")

    journal = ListJournal()
    result = await run(checkout, {"total": 5}, journal)

    assert result == {"paid": 5, "currency": "EUR"}
    assert journal.data("step.completed", "charge") == {"result": result, "attempts": 1}


@pytest.mark.parametrize("is_well", [True, False])
async def test_how_long_a_try_took_is_told_when_it_was_long(is_well: bool) -> None:
    @step
    async def dawdle() -> None:
        await asyncio.sleep(0.05)
        if not is_well:
            raise BankError("busy")

    async def flow(ctx: Context) -> None:
        with suppress(StepFailedError):
            await ctx.run(dawdle)

    journal = ListJournal()
    await run(flow, None, journal)

    assert 45 <= msgspec.json.decode(journal.rows[-1][4])["took_ms"] < 5_000


async def test_a_recorded_step_does_not_run_again() -> None:
    runs = []

    async def touch() -> int:
        runs.append(1)
        return len(runs)

    async def twice(ctx: Context) -> Any:
        return [await ctx.run(touch), await ctx.run(touch)]

    journal = ListJournal()
    first = await run(twice, None, journal)
    again = await run(twice, None, ListJournal(journal.rows, attempt=2))

    assert first == again == [1, 2]
    assert len(runs) == 2


async def test_the_first_run_sees_what_a_replay_sees() -> None:
    async def pair() -> Any:
        return (1, {"inner": (2,)})

    seen = []

    async def flow(ctx: Context) -> None:
        seen.append(await ctx.run(pair))

    journal = ListJournal()
    await run(flow, None, journal)
    await run(flow, None, ListJournal(journal.rows))

    assert seen == [[1, {"inner": [2]}]] * 2


async def test_everything_before_a_step_is_durable_before_it_starts_and_its_own_result_is_not_waited_for() -> None:
    async def touch() -> None:
        pass

    async def flow(ctx: Context) -> None:
        await ctx.run(touch)
        await ctx.run(touch)

    journal = ListJournal()
    await run(flow, None, journal)

    assert journal.calls == [
        ("ready", "touch"),
        ("step.completed", "touch"),
        ("ready", "touch#2"),
        ("step.completed", "touch#2"),
    ]


async def test_a_failed_step_raises_the_same_when_it_fails_and_when_it_is_replayed() -> None:
    async def charge() -> None:
        raise BankError("no such account")

    seen = []

    async def flow(ctx: Context) -> None:
        try:
            await ctx.run(charge)
        except StepFailedError as error:
            seen.append((str(error), error.error_type))

    journal = ListJournal()
    await run(flow, None, journal)
    await run(flow, None, ListJournal(journal.rows))

    assert seen == [("no such account", "BankError")] * 2
    recorded = journal.data("step.failed", "charge")
    assert "in charge: raise BankError" in recorded.pop("traceback")
    assert recorded == {"type": "BankError", "message": "no such account", "attempts": 1}


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        (math.nan, "EncodingError", "nan at $"),
        ({"a": [1, math.inf]}, "EncodingError", "inf at $.a[1]"),
        ({1, 2}, "EncodingError", "set at $"),
        (object(), "EncodingError", "object at $"),
        ({"a": {1: 2}}, "EncodingError", "key 1 at $.a is no string"),
        (b"bytes", "EncodingError", "bytes at $"),
        ("\ud800", "EncodingError", "lone surrogate"),
        ("x" * (SIZE_BYTES_MAX + 1), "PayloadTooLargeError", f"PAYLOAD_SIZE_BYTES_MAX={SIZE_BYTES_MAX}"),
    ],
)
async def test_a_result_that_cannot_be_recorded_fails_the_step_and_is_not_tried_again(
    value: Any, kind: str, says: str
) -> None:
    runs = []

    @step(retries=3)
    async def make() -> Any:
        runs.append(1)
        return value

    async def flow(ctx: Context) -> None:
        await ctx.run(make)

    with pytest.raises(StepFailedError) as failed:
        await run(flow)

    assert (failed.value.error_type, len(runs)) == (kind, 1)
    assert says in str(failed.value)


async def test_an_error_with_a_monstrous_message_is_recorded_bounded() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            return "\ud800" + "ü" * 100_000

    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    errors = [OddError(), MuteError()]

    async def stumble() -> None:
        raise errors.pop(0)

    async def flow(ctx: Context) -> None:
        for _ in range(2):
            with pytest.raises(StepFailedError):
                await ctx.run(stumble)

    journal = ListJournal()
    await run(flow, None, journal)

    assert len(journal.data("step.failed", "stumble")["message"].encode()) <= 2_048
    assert journal.data("step.failed", "stumble#2")["type"] == "MuteError"


async def test_a_step_that_exits_or_cancels_itself_fails_and_does_not_end_the_worker() -> None:
    errors: list[BaseException] = [SystemExit(3), asyncio.CancelledError()]

    async def leave() -> None:
        raise errors.pop(0)

    async def flow(ctx: Context) -> list[str]:
        kinds = []
        for _ in range(2):
            try:
                await asyncio.gather(ctx.run(leave))
            except StepFailedError as error:
                kinds.append(error.error_type)
        return kinds

    assert await run(flow) == ["SystemExit", "CancelledError"]


async def test_a_step_that_cancels_the_task_it_runs_in_fails_and_leaves_nobody_waiting() -> None:
    async def gives_up() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def flow(ctx: Context) -> str:
        with pytest.raises(StepFailedError) as failed:
            await ctx.run(gives_up)
        return failed.value.error_type

    journal = ListJournal()

    assert await run(flow, None, journal) == "CancelledError"
    assert journal.outcomes() == [("step.failed", "gives_up")]


async def test_a_step_that_is_cut_off_has_no_outcome() -> None:
    begun = asyncio.Event()

    async def dawdle() -> None:
        begun.set()
        await asyncio.sleep(30)

    async def flow(ctx: Context) -> None:
        await ctx.run(dawdle)

    journal = ListJournal()
    task = asyncio.create_task(run(flow, None, journal))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert journal.outcomes() == []


async def test_losing_the_turn_is_not_recorded_as_a_failure_of_the_step() -> None:
    class LostJournal(ListJournal):
        def record(self, event: Event, key: str, data: bytes) -> None:
            raise OwnershipLostError("gone")

    async def touch() -> None:
        pass

    async def flow(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.run(touch))

    with pytest.raises(OwnershipLostError):
        await run(flow, None, LostJournal())
