"""Workers of two builds in one lane: every turn runs, once, by the version that it began with, and none is parked."""

import asyncio
import urllib.error
import urllib.request
import uuid
from collections import Counter
from typing import Any

import asyncpg
import pytest

from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.owners import owned_turns, sessions_over, until_shared
from tests.harness.processes import ROOT, Managed, stopped

PARTITIONS = 8
_BUILDS = ROOT / "tests" / "crash" / "builds"
V1 = {"ARGOSY_WORKFLOWS": str(_BUILDS / "v1.py"), "ARGOSY_BUILD": "v1"}
V2 = {"ARGOSY_WORKFLOWS": str(_BUILDS / "v2.py"), "ARGOSY_BUILD": "v2"}
_SOON_SILENT = {"HEARTBEAT_INTERVAL_S": "0.3", "HEARTBEAT_TTL_S": "1.5"}
_SHORT_WAIT = {"HEARTBEAT_INTERVAL_S": "0.3", "HEARTBEAT_TTL_S": "2", "BUILD_WAIT_S": "3"}


async def _post(client: Client, workflow: str, each: int, effects: int, prefix: str = "", **job: Any) -> list[str]:
    sessions = sessions_over(PARTITIONS, each, prefix or workflow)
    return list(await asyncio.gather(*(client.post(name, workflow, effects=effects, **job) for name in sessions)))


async def _both_builds(fleet: Fleet, client: Client) -> tuple[Managed, Managed]:
    (first,) = fleet.start(1, **V1)
    second = await asyncio.to_thread(lambda: fleet.worker(**V2))
    await until_shared(client, [first, second], PARTITIONS)
    return first, second


async def _signal_all(client: Client, turns: list[str]) -> None:
    await asyncio.gather(*(client.signal(turn, "go", None) for turn in turns))


@pytest.mark.slow
@pytest.mark.scenario(
    "a rolling v1 to v2, 40 suspended turns", "none is parked; each ends by the version it began with"
)
@BOTH_IN_FAULTS
async def test_suspended_turns_of_the_old_build_go_on_at_the_worker_that_has_it(
    idle_fleet: Fleet, client: Client
) -> None:
    (first,) = idle_fleet.start(1, **V1)
    old = await _post(client, "upgraded", each=5, effects=2)
    await client.until_status(old, {"suspended"})
    second = await asyncio.to_thread(lambda: idle_fleet.worker(**V2))
    await until_shared(client, [first, second], PARTITIONS)

    await _signal_all(client, old)

    await client.until_status(old, within_s=20)
    assert {(await client.turn(turn))["result"] for turn in old} == {"1"}
    await client.judge(disruptions=0)


@BOTH_IN_FAULTS
@pytest.mark.scenario("a workflow that is new in v2, 40 turns", "all of them run, at the one worker that has it")
async def test_turns_of_a_new_workflow_run_whoever_owns_them(idle_fleet: Fleet, client: Client) -> None:
    await _both_builds(idle_fleet, client)

    turns = await _post(client, "added", each=5, effects=2)

    await client.until_status(turns, within_s=20)
    assert {(await client.turn(turn))["result"] for turn in turns} == {"2"}
    await client.judge(disruptions=0)


@BOTH_IN_FAULTS
@pytest.mark.scenario("kill -9 of a borrower in a step", "its turns run again elsewhere, or wait; nothing is parked")
async def test_turns_of_a_borrower_that_is_killed_go_on_when_another_one_has_their_build(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    first, second = await _both_builds(idle_fleet, client)
    turns = await _post(client, "added", each=3, effects=2, until=latch.path)
    await until_reached(client.sink, turns)
    lent = await owned_turns(client, first, turns, PARTITIONS)
    assert lent

    second.kill()
    third = await asyncio.to_thread(lambda: idle_fleet.worker(**V2))
    await until_shared(client, [first, third], PARTITIONS)
    latch.release()

    await client.until_status(turns, within_s=25)
    await client.judge(disruptions=1, repeatable=turns)


@BOTH_IN_FAULTS
@pytest.mark.scenario("kill -9 of a lender", "what it lent goes on where it runs, undisturbed")
async def test_turns_that_are_lent_outlive_their_owner(idle_fleet: Fleet, client: Client, latch: Latch) -> None:
    first, _ = await _both_builds(idle_fleet, client)
    turns = await _post(client, "added", each=3, effects=2, until=latch.path)
    await until_reached(client.sink, turns)

    await asyncio.to_thread(first.kill)
    latch.release()

    await client.until_status(turns, within_s=25)
    history = await client.judge(disruptions=1)
    assert not [e for read in history.reads.values() for e in read.events if e.type == "turn.reset"]


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.scenario(
    "SIGTERM of a borrower in a step", "the step ends there, and the turn goes on with the same attempt"
)
async def test_a_borrower_that_is_told_to_end_says_what_its_steps_came_to(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    first, second = await _both_builds(idle_fleet, client)
    turns = await _post(client, "added", each=3, effects=2, until=latch.path)
    await until_reached(client.sink, turns)

    second.process.terminate()
    third = await asyncio.to_thread(lambda: idle_fleet.worker(**V2))
    await until_shared(client, [first, third], PARTITIONS)
    latch.release()

    await asyncio.to_thread(second.wait_dead)
    await client.until_status(turns, within_s=25)
    await client.judge(disruptions=0)


@BOTH_IN_FAULTS
@pytest.mark.scenario("cancel of a turn that is lent", "it ends as cancelled, at its borrower")
async def test_a_lent_turn_is_cancelled_in_its_step(idle_fleet: Fleet, client: Client, latch: Latch) -> None:
    await _both_builds(idle_fleet, client)
    turns = await _post(client, "added", each=2, effects=1, until=latch.path)
    await until_reached(client.sink, turns)

    for turn in turns:
        assert (await client.post_to(f"/v1/turns/{turn}/cancel")).status_code == 202

    await client.until_status(turns, {"cancelled"}, within_s=15)


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [_SHORT_WAIT])
@pytest.mark.scenario("nobody has a build for BUILD_WAIT_S", "parked as no_build; resumed in bulk, all run")
async def test_turns_that_nobody_can_run_wait_then_park_and_are_resumed_together(
    idle_fleet: Fleet, client: Client
) -> None:
    first, second = await _both_builds(idle_fleet, client)
    await asyncio.to_thread(second.terminate)
    turns = await _post(client, "added", each=2, effects=2)
    waiting = await _explained_as(client, turns[0], "waiting_for_build")
    assert "'added'" in waiting["why"]

    await client.until_status(turns, {"parked"}, within_s=30)
    parked = (await client.get(f"/v1/turns/{turns[0]}/explain")).json()
    assert (parked["details"]["reason"], "argosy turn resume --all" in parked["what_to_do"]) == ("no_build", True)
    third = await asyncio.to_thread(lambda: idle_fleet.worker(**V2))
    await until_shared(client, [first, third], PARTITIONS)
    answer = await client.post_to("/v1/turns:resume?reason=no_build")

    assert (answer.status_code, answer.json()["resumed"]) == (202, len(turns)), answer.text
    await client.until_status(turns, within_s=20)


@BOTH_IN_FAULTS
@pytest.mark.scenario("a worker with a broken import", "it says so at /readyz, and takes no part")
async def test_a_worker_that_cannot_load_a_workflow_stands_aside(idle_fleet: Fleet, client: Client) -> None:
    (first,) = idle_fleet.start(1, **V2)
    broken = idle_fleet.folder / "broken.py"
    broken.write_text("import no_such_module_at_all\n")
    aside = idle_fleet.begin_worker(ARGOSY_WORKFLOWS=f"{V2['ARGOSY_WORKFLOWS']},{broken}")

    said = await _not_ready(aside)
    turns = await _post(client, "added", each=7, effects=2)

    await client.until_status(turns, within_s=20)
    assert "no_such_module_at_all" in said
    assert "broken.py:1" in said
    await until_shared(client, [first], PARTITIONS)
    assert await asyncio.to_thread(aside.terminate) == 0


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [_SOON_SILENT])
@pytest.mark.scenario("SIGSTOP of a borrower in a step", "its turns go on at another one; what it says late is refused")
async def test_what_a_borrower_says_after_it_was_stopped_is_not_taken(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    first, zombie = await _both_builds(idle_fleet, client)
    third = await asyncio.to_thread(lambda: idle_fleet.worker(**V2))
    await until_shared(client, [first, zombie, third], PARTITIONS)
    turns, hit = await _lend_some(idle_fleet, client, latch, zombie)

    with stopped(zombie):
        await _until_reset(client, hit)
        latch.release()
        await client.until_status(turns, within_s=25)
    after = await _post(client, "added", each=1, effects=2)

    await client.until_status(after, within_s=25)
    history = await client.judge(disruptions=1, repeatable=turns)
    assert {read.events[-1].attempt for read in history.reads.values() if read.turn_id in hit} == {2}


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.scenario("hand-over of a lender", "what it lent goes on where it runs, under the next owner, undisturbed")
async def test_turns_that_are_lent_outlive_the_orderly_end_of_their_owner(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    first, second = await _both_builds(idle_fleet, client)
    turns = await _post(client, "added", each=3, effects=2, until=latch.path)
    await until_reached(client.sink, turns)
    lent = await _lent_to(idle_fleet, client, second)
    assert lent & set(turns)

    third = await asyncio.to_thread(lambda: idle_fleet.worker(**V1))
    assert await asyncio.to_thread(first.terminate) == 0
    await until_shared(client, [second, third], PARTITIONS)
    assert await _lent_to(idle_fleet, client, second) >= lent
    latch.release()

    await client.until_status(turns, within_s=25)
    history = await client.judge(disruptions=0)
    assert not [e for read in history.reads.values() for e in read.events if e.type == "turn.reset"]


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.scenario("kill -9 of a borrower in an at_most_once step", "its turn is parked, and the step not repeated")
async def test_a_step_that_must_not_be_repeated_is_not_when_its_borrower_is_killed(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    first, second = await _both_builds(idle_fleet, client)
    turns = await _post(client, "added_once", each=2, effects=3, until=latch.path)
    await until_reached(client.sink, turns, times=2)
    assert await _lent_to(idle_fleet, client, second)

    second.kill()
    third = await asyncio.to_thread(lambda: idle_fleet.worker(**V2))
    await until_shared(client, [first, third], PARTITIONS)
    latch.release()

    parked = await client.until_status(turns, {"parked"}, within_s=25)
    assert {each["reason"] for each in parked.values()} == {"uncertain_effect"}
    reached = Counter(effect.turn_id for effect in client.sink.effects())
    assert {reached[turn] for turn in turns} == {2}


async def _lend_some(fleet: Fleet, client: Client, latch: Latch, worker: Managed) -> tuple[list[str], set[str]]:
    """Turns that wait in their step; and those of them that this worker borrows, and not one of the others. Who borrows
    a turn is drawn by its id among those that were heard of in time, so it may take more than one round of them.
    """
    turns: list[str] = []
    for number in range(8):
        more = await _post(client, "added", each=3, effects=2, prefix=f"round-{number}", until=latch.path)
        await until_reached(client.sink, more)
        turns += more
        if hit := await _lent_to(fleet, client, worker):
            return turns, hit
    raise AssertionError(f"none of {len(turns)} turns is lent to {worker.tail()}")


async def _lent_to(fleet: Fleet, client: Client, worker: Managed) -> set[str]:
    """Turns that this worker borrows."""
    workers = (await client.get("/v1/fleet?limit=200")).json()["workers"]
    (worker_id,) = [each["worker_id"] for each in workers if each["pid"] == worker.pid]
    postgres = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    rows = await postgres.fetch("SELECT turn_id FROM argosy.turns WHERE lent_to = $1", uuid.UUID(worker_id))
    await postgres.close()
    return {str(row[0]) for row in rows}


async def _until_reset(client: Client, turns: set[str], within_s: float = 15.0) -> None:
    """Returns when each of them has begun again."""
    async with asyncio.timeout(within_s):
        for turn in turns:
            while not any(event.type == "turn.reset" for event in await client.events(turn)):  # noqa: ASYNC110 — others write it
                await asyncio.sleep(0.05)


async def _explained_as(client: Client, turn: str, code: str) -> dict[str, str]:
    said: dict[str, str] = {}
    for _ in range(200):
        said = (await client.get(f"/v1/turns/{turn}/explain")).json()
        if said["code"] == code:
            return said
        await asyncio.sleep(0.02)
    raise AssertionError(f"explained as {said}")


async def _not_ready(worker: Managed) -> str:
    """What /readyz answers with 503."""

    def ask() -> str:
        try:
            urllib.request.urlopen(worker.ready_url, timeout=2)  # noqa: S310
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return ""
        raise AssertionError("it is ready")

    for _ in range(300):
        if said := await asyncio.to_thread(ask):
            return said
        await asyncio.sleep(0.05)
    raise AssertionError(worker.tail())
