"""What a workflow does at once comes to the same, whatever happens to its worker: all examples of docs/workflows.md."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.owners import until_shared
from tests.harness.patterns import STEADY, WORKFLOWS, Patterns
from tests.harness.processes import Managed

_CRASHES = (
    *("after_poll:2", "before_accept:2", "after_accept:2", "before_settle_seen:3"),
    *(
        "before_effect:4",
        "before_effect:17",
        "before_effect:31",
        "after_effect:2",
        "after_effect:13",
        "after_effect:29",
    ),
    *("in_step:3", "in_step:9", "in_step:21", "in_step:37"),
    *("before_flush:4", "before_flush:9", "before_flush:16", "after_flush:3", "after_flush:8", "after_flush:15"),
)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return {"ARGOSY_WORKFLOWS": str(WORKFLOWS), "PATTERNS_TOLD": str(tmp_path / "told")}


@pytest.fixture
def patterns(client: Client, tmp_path: Path) -> Patterns:
    return Patterns(client, tmp_path / "told")


@pytest.mark.slow
@BOTH_IN_FAULTS
async def test_patterns_that_nothing_disturbs(idle_fleet: Fleet, client: Client, patterns: Patterns) -> None:
    idle_fleet.start(1)

    await patterns.post()
    await patterns.go()
    await patterns.stop()

    await patterns.judge()
    await client.judge()


@pytest.mark.slow
@BOTH_IN_FAULTS
async def test_patterns_that_are_suspended(idle_fleet: Fleet, client: Client, patterns: Patterns) -> None:
    idle_fleet.start(1)

    await patterns.post()
    await patterns.stop()
    await patterns.until_suspended()
    await patterns.go()

    await patterns.judge()
    await client.judge()


@BOTH_IN_FAULTS
async def test_patterns_whose_worker_is_killed_while_they_run_and_while_they_wait(
    idle_fleet: Fleet, client: Client, patterns: Patterns
) -> None:
    (doomed,) = idle_fleet.start(1)

    await patterns.post()
    await patterns.until_begun(20)
    doomed.kill()
    again = await asyncio.to_thread(idle_fleet.worker)
    await patterns.stop()
    await patterns.until_suspended()
    again.kill()
    await patterns.go()
    await asyncio.to_thread(idle_fleet.worker)

    await patterns.judge(is_repeatable=True)
    await client.judge(disruptions=2)


@pytest.mark.slow
@BOTH_IN_FAULTS
async def test_patterns_whose_worker_hands_them_over(idle_fleet: Fleet, client: Client, patterns: Patterns) -> None:
    (first,) = idle_fleet.start(1)

    await patterns.post()
    await patterns.until_given_up()
    handing_over = asyncio.create_task(_hand_over(idle_fleet, client, first))
    while not handing_over.done():
        await patterns.post(STEADY)
        await asyncio.wait([handing_over], timeout=0.3)
    await handing_over
    await patterns.stop()
    await patterns.until_suspended()
    await patterns.go()

    await patterns.judge()
    await client.judge()


async def _hand_over(fleet: Fleet, client: Client, first: Managed) -> None:
    """Another worker joins, and the first one leaves."""
    second = await asyncio.to_thread(fleet.worker)
    await until_shared(client, [first, second], fleet.partitions)
    assert await asyncio.to_thread(first.terminate) == 0


@pytest.mark.slow
@pytest.mark.parametrize("crash_at", _CRASHES)
async def test_patterns_whose_worker_is_killed_at_this_point(
    crash_at: str, idle_fleet: Fleet, client: Client, patterns: Patterns
) -> None:
    (doomed,) = idle_fleet.start(1, ARGOSY_CRASH_AT=crash_at)

    await patterns.post()
    stopping = asyncio.ensure_future(patterns.stop())
    if crash_at.startswith("before_settle_seen"):
        await patterns.go()
    assert await asyncio.to_thread(doomed.wait_dead, 20) == -9
    await asyncio.to_thread(idle_fleet.worker)
    await stopping
    if not crash_at.startswith("before_settle_seen"):
        await patterns.until_suspended()
        await patterns.go()

    await patterns.judge(is_repeatable=True)
    await client.judge(disruptions=1)
