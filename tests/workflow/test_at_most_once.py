"""A step that must not be repeated: its intent, and what an unknown outcome comes to."""

from typing import Any

import pytest

from argosy import Context, EffectNotStartedError, StepFailedError, step
from argosy.workflow.journal import Park
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import BankError, run


async def test_the_intent_of_an_at_most_once_step_is_durable_before_it_runs() -> None:
    journal = ListJournal()

    @step(effect="at_most_once")
    async def pay() -> None:
        journal.calls.append(("runs", "pay"))

    async def flow(ctx: Context) -> None:
        await ctx.run(pay)

    await run(flow, None, journal)

    assert journal.calls == [
        ("ready", "pay"), ("step.intended", "pay"), ("durable", ""), ("runs", "pay"), ("step.completed", "pay")
    ]  # fmt: skip


async def test_an_at_most_once_step_with_an_unknown_outcome_parks_the_turn_until_an_operator_lets_it_run() -> None:
    runs = []

    @step(effect="at_most_once")
    async def pay() -> int:
        runs.append(1)
        return 7

    async def flow(ctx: Context) -> Any:
        return await ctx.run(pay)

    crashed = ListJournal()
    await run(flow, None, crashed)
    after = ListJournal(crashed.rows[:1], attempt=2)
    with pytest.raises(Park, match="'pay' is at_most_once") as park:
        await run(flow, None, after)
    parked = (2, 2, "turn.parked", park.value.key, b'{"reason":"uncertain_effect","message":""}')
    resumed = ListJournal([*after.rows, parked], attempt=3)

    assert park.value.reason == "uncertain_effect"
    assert len(runs) == 1
    assert await run(flow, None, resumed) == 7


async def test_an_at_most_once_step_is_not_tried_again_unless_it_says_that_nothing_happened() -> None:
    errors: list[Exception] = [EffectNotStartedError("no connection"), BankError("lost on the way")]

    @step(effect="at_most_once", retries=5)
    async def pay() -> None:
        raise errors.pop(0)

    async def flow(ctx: Context) -> None:
        await ctx.run(pay)

    journal = ListJournal()
    with pytest.raises(StepFailedError, match="lost on the way"):
        await run(flow, None, journal)

    assert [kind for kind, _ in journal.outcomes() if kind.startswith("step")] == [
        "step.intended",
        "step.retrying",
        "step.intended",
        "step.failed",
    ]


async def test_a_crash_after_a_try_that_certainly_did_nothing_is_not_uncertain() -> None:
    errors: list[Exception] = [EffectNotStartedError("no connection")]

    @step(effect="at_most_once", retries=5)
    async def pay() -> int:
        if errors:
            raise errors.pop()
        return 7

    async def flow(ctx: Context) -> Any:
        return await ctx.run(pay)

    whole = ListJournal()
    await run(flow, None, whole)
    length = [row[2] for row in whole.rows].index("wait.started") + 1

    assert await run(flow, None, ListJournal(whole.rows[:length], attempt=2)) == 7


@pytest.mark.parametrize("private", [False, True])
async def test_code_that_does_not_ask_for_a_step_that_may_have_had_its_effect_parks_the_turn(private: bool) -> None:
    @step(effect="at_most_once", private=private)
    async def pay() -> int:
        return 7

    async def flow(ctx: Context) -> Any:
        return await ctx.run(pay)

    async def changed(ctx: Context) -> None: ...

    whole = ListJournal()
    await run(flow, None, whole)
    length = [row[2] for row in whole.rows].index("step.intended") + 1

    with pytest.raises(Park, match="the beginning of") as park:
        await run(changed, None, ListJournal(whole.rows[:length], attempt=2))

    assert park.value.reason == "history_mismatch"
    assert ("pay" in park.value.message) is not private
