"""A process that was stopped (SIGSTOP, a suspended machine) wakes up with answers of long ago in its hands."""

from argosy import Context, step
from argosy.clock import SystemClock
from argosy.turn.status import Status
from argosy.workers.dispatch.scheduling.reads import Read
from tests.dispatch.joined_parts import Parts, catalog, make_turn, until
from tests.harness.hand_clock import AheadClock

STOPPED_S = 20.0


@step
async def work(_: None) -> None:
    """Does nothing."""


async def test_a_turn_that_was_accepted_before_the_stop_begins_when_postgres_has_said_that_it_is_still_ours() -> None:
    calls_before: list[int] = []

    async def workflow(_: object) -> None:
        calls_before.append(len(parts.stream.calls))

    async with Parts(catalog(workflow)) as parts:
        turn = make_turn(parts.owned[0], "boom")
        parts.owned[0].held_at_s = SystemClock().monotonic_s() - STOPPED_S  # the accept was sent then
        parts.scheduler.accepted(turn, True, Read())
        parts.executor.fill()
        await until(lambda: turn.status is Status.COMPLETED)

    assert calls_before == [1]


async def test_a_step_whose_leave_to_begin_comes_from_before_the_stop_asks_again() -> None:
    calls_before: list[int] = []

    @step
    async def second(_: None) -> None:
        calls_before.append(len(parts.stream.calls))

    async def workflow(context: Context) -> None:
        await context.run(work, None)
        await context.run(second, None)

    clock = AheadClock()
    async with Parts(catalog(workflow), clock=clock) as parts:
        parts.owned[0].held_at_s = clock.monotonic_s()

        def stop_in_the_first(_: object) -> None:
            if len(parts.stream.calls) == 1:  # sent, taken by Postgres, and not yet answered
                clock.ahead_s = STOPPED_S

        parts.stream.apply = stop_in_the_first
        turn = parts.begin("boom")
        await until(lambda: turn.status is Status.COMPLETED)

    assert calls_before == [2]
