"""Whatever prefix of its history a turn begins again with, it comes out the same and repeats nothing recorded."""

import asyncio
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from argosy import Context, StepFailedError, WaitTimeoutError, step, step_info
from argosy.workflow.replay import Replay
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

Operation = tuple[str, int]
operations = st.tuples(
    st.sampled_from(["good", "bad", "stumble", "sleep", "signal", "no signal", "now", "uuid"]), st.integers(0, 3)
)
programs = st.lists(st.lists(operations, min_size=1, max_size=3), max_size=6)


class Program:
    """A workflow made of rounds; the operations of a round are branches of one gather. Counts what really ran."""

    def __init__(self, rounds: list[list[Operation]]) -> None:
        self.rounds = rounds
        self.runs: list[str] = []

    async def flow(self, ctx: Context) -> list[Any]:
        return [await asyncio.gather(*(self.branch(ctx, *each) for each in branches)) for branches in self.rounds]

    async def branch(self, ctx: Context, kind: str, number: int) -> Any:
        @step
        async def good(value: int) -> Any:
            self.runs.append(f"good {value}")
            await asyncio.sleep(0)
            return {"value": (value,)}

        @step(retries=1)
        async def bad(value: int) -> Any:
            self.runs.append(f"bad {value}")
            raise ValueError(f"bad {value}")

        @step(retries=number)
        async def stumble() -> int:
            if step_info().try_number <= number:
                raise ValueError("not yet")
            return number

        async def operate() -> Any:
            match kind:
                case "good":
                    return await ctx.run(good, number)
                case "bad":
                    return await ctx.run(bad, number)
                case "stumble":
                    return await ctx.run(stumble)
                case "sleep":
                    return await ctx.sleep(number)
                case "signal":
                    return await ctx.wait_signal("go")
                case "no signal":
                    return await ctx.wait_signal("never", timeout_s=number)
                case "now":
                    return (await ctx.now()).isoformat()
                case _:
                    return str(await ctx.uuid())

        try:
            return await operate()
        except (StepFailedError, WaitTimeoutError) as error:
            return [type(error).__name__, str(error)]


def _flow(program: Program) -> Any:
    async def flow(ctx: Context) -> list[Any]:
        return await program.flow(ctx)

    return flow


def _journal(program: Program, rows: list[Any], attempt: int) -> ListJournal:
    journal = ListJournal(rows, attempt=attempt)
    received = sum(row[2] == "wait.completed" and "signal:" in row[3] for row in rows)
    count = sum(kind == "signal" for branches in program.rounds for kind, _ in branches)
    journal.signals = {"go": list(range(received, count))}
    return journal


@settings(max_examples=150, deadline=None)
@given(rounds=programs, data=st.data())
def test_any_prefix_of_history_replays_to_the_same_result_and_runs_no_recorded_step(
    rounds: list[list[Operation]], data: st.DataObject
) -> None:
    first = Program(rounds)
    whole = _journal(first, [], 1)
    result = asyncio.run(run(_flow(first), None, whole))
    cut = data.draw(st.integers(0, len(whole.rows)))
    recorded = {row[3] for row in whole.rows[:cut] if row[2] in ("step.completed", "step.failed")}

    again = Program(rounds)
    later = _journal(again, whole.rows[:cut], 2)
    result_again = asyncio.run(run(_flow(again), None, later))

    assert _steady(rounds, result_again) == _steady(rounds, result)
    assert sorted(key for _, key in later.outcomes()) == sorted(key for _, key in whole.outcomes())
    assert not recorded & {key for _seq, _attempt, kind, key, _data in later.rows[cut:] if kind.startswith("step.")}
    assert later.replay.next is None
    if cut == len(whole.rows):
        assert result_again == result
        assert again.runs == []


def _steady(rounds: list[list[Operation]], result: list[list[Any]]) -> list[list[Any]]:
    """The result without the values that are new in an attempt which had them not recorded."""
    return [
        [None if kind in ("now", "uuid") else each for (kind, _), each in zip(branches, found, strict=True)]
        for branches, found in zip(rounds, result, strict=True)
    ]


def test_outcomes_come_in_the_order_of_history() -> None:
    rows = [
        (1, 1, "turn.started", "", b"{}"),
        (2, 1, "step.completed", "b", b'{"result":1,"attempts":1}'),
        (3, 1, "value.recorded", "now", b'{"value":"x"}'),
        (4, 1, "value.recorded", "@time", b'{"value":"5.0"}'),
        (5, 1, "step.retrying", "a", b"{}"),
        (6, 1, "wait.started", "a~1", b'{"kind":"retry"}'),
        (7, 1, "wait.completed", "a~1", b"{}"),
        (8, 1, "step.failed", "a", b'{"type":"E","message":"m","attempts":2}'),
        (9, 1, "wait.started", "sleep", b'{"kind":"sleep"}'),
        (10, 1, "of.the.future", "c", b"{}"),
    ]
    replay = Replay(rows)

    found = []
    while (key := replay.next) is not None:
        found.append((key, replay.take().type.value))

    assert found == [("b", "step.completed"), ("now", "value.recorded"), ("a", "step.failed")]
    assert replay.recorded("sleep") is None
    assert replay.recorded("@time") is not None
    assert (replay.tries("a"), replay.tries("b")) == (1, 0)
    assert (replay.is_started("sleep"), replay.is_settled("sleep"), replay.is_started("b")) == (True, False, True)


def test_an_operator_s_leave_concerns_the_step_that_was_parked() -> None:
    rows = [
        (1, 1, "step.intended", "a", b"{}"),
        (2, 1, "step.intended", "b", b"{}"),
        (3, 2, "turn.parked", "", b'{"reason":"poison","message":""}'),
    ]
    parked = (4, 3, "turn.parked", "a", b'{"reason":"uncertain_effect","message":""}')
    unnamed = (4, 3, "turn.parked", "", b'{"reason":"uncertain_effect","message":""}')

    assert [Replay(rows).is_intended(key) for key in "ab"] == [True, True]
    assert [Replay([*rows, parked]).is_intended(key) for key in "ab"] == [False, True]
    assert [Replay([*rows, unnamed]).is_intended(key) for key in "ab"] == [False, False]


def test_a_long_history_is_gone_through_in_linear_time() -> None:
    rows = [(number, 1, "step.completed", f"a#{number}", b"{}") for number in range(50_000)]
    began_s = time.perf_counter()
    replay = Replay(rows)
    while replay.next is not None:
        replay.take()

    assert time.perf_counter() - began_s < 2.0
