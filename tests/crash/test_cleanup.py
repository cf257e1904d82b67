"""A cancelled turn cleans up, once, whatever happens to its worker meanwhile."""

import asyncio

import pytest

from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.owners import until_shared

PLACES = ["step", "signal", "gather", "thread"]


async def _begin(client: Client, latch: Latch, *places: str) -> list[str]:
    """A turn at each of these places; when this returns each is there."""
    turns = [
        await client.post(place, _WORKFLOW.get(place, "compensates"), at=place, until=latch.path) for place in places
    ]
    await until_reached(client.sink, [turn for turn, place in zip(turns, places, strict=True) if place == "step"], 2)
    resting = [turn for turn, place in zip(turns, places, strict=True) if place != "step"]
    await client.until_status(resting, {"suspended"})
    return turns


_WORKFLOW = {"thread": "compensates_in_thread"}


async def _cancel(client: Client, turns: list[str]) -> None:
    for turn in turns:
        assert (await client.post_to(f"/v1/turns/{turn}/cancel")).status_code == 202


async def _until_cleaning_up(client: Client, turns: list[str], effects: int = 3) -> None:
    """Each has begun the step of its clean-up that is in flight until the release."""
    await until_reached(client.sink, turns, times=effects)


async def _types(client: Client, turn: str) -> list[str]:
    return [event.type for event in await client.events(turn)]


@BOTH_IN_FAULTS
@pytest.mark.scenario("cancel, clean-up", "in a step, suspended, in a gather, in a thread: cleans up, ends cancelled")
async def test_a_cancelled_turn_cleans_up_wherever_it_is(idle_fleet: Fleet, client: Client, latch: Latch) -> None:
    idle_fleet.start(1)
    turns = await _begin(client, latch, *PLACES)

    await _cancel(client, turns)
    await _until_cleaning_up(client, turns)
    meanwhile = [await client.turn(turn) for turn in turns]
    explained = (await client.get(f"/v1/turns/{turns[0]}/explain")).json()
    await _cancel(client, turns)
    latch.release()
    ended = await client.until_status(turns)

    assert {(each["status"], each["reason"]) for each in meanwhile} == {("running", "cancelling")}
    assert all(each["cancelling_until"] for each in meanwhile)
    assert (explained["code"], "cleans up" in explained["why"]) == ("cancelling", True)
    assert {(each["status"], each["reason"], each["error"]) for each in ended.values()} == {("cancelled", None, None)}
    for turn in turns:
        types = await _types(client, turn)
        assert types.count("turn.cancelling") == 1
        assert types[-2:] == ["step.completed", "turn.cancelled"]
    await client.judge()


@BOTH_IN_FAULTS
@pytest.mark.scenario(
    "cancel, worker killed in clean-up", "the clean-up goes on at the next worker, recorded steps once"
)
async def test_a_clean_up_goes_on_after_its_worker_was_killed(idle_fleet: Fleet, client: Client, latch: Latch) -> None:
    (first,) = idle_fleet.start(1)
    turns = await _begin(client, latch, *PLACES)
    await _cancel(client, turns)
    await _until_cleaning_up(client, turns)

    first.kill()
    await asyncio.to_thread(idle_fleet.worker)
    await _until_cleaning_up(client, turns, effects=4)
    latch.release()
    ended = await client.until_status(turns)

    assert {(each["status"], each["error"]) for each in ended.values()} == {("cancelled", None)}
    for turn in turns:
        types = await _types(client, turn)
        assert (types.count("turn.cancelling"), types.count("turn.reset")) == (1, 1)
    await client.judge(disruptions=1)


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.scenario(
    "cancel, hand-over in clean-up", "the step in flight ends at the old owner, the rest at the new one"
)
async def test_a_clean_up_goes_on_where_its_turn_is_handed_over_to(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    (first,) = idle_fleet.start(1)
    turns = await _begin(client, latch, *PLACES)
    await _cancel(client, turns)
    await _until_cleaning_up(client, turns)

    second = await asyncio.to_thread(idle_fleet.worker)
    ending = asyncio.create_task(asyncio.to_thread(first.terminate))
    await until_shared(client, [second], idle_fleet.partitions)
    latch.release()
    ended = await client.until_status(turns)
    await ending

    assert {(each["status"], each["error"]) for each in ended.values()} == {("cancelled", None)}
    for turn in turns:
        assert (await _types(client, turn)).count("turn.cancelling") == 1
    await client.judge()


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.scenario(
    "cancel, worker dead", "turns that are cancelled while nobody has them clean up at the next worker"
)
async def test_turns_that_are_cancelled_while_their_worker_is_dead_clean_up(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    (first,) = idle_fleet.start(1)
    turns = await _begin(client, latch, *PLACES)
    first.kill()
    await _cancel(client, turns)
    latch.release()

    await asyncio.to_thread(idle_fleet.worker)
    ended = await client.until_status(turns)

    assert {(each["status"], each["error"]) for each in ended.values()} == {("cancelled", None)}
    for turn in turns:
        assert (await _types(client, turn))[-2:] == ["step.completed", "turn.cancelled"]
    await client.judge(disruptions=1)


@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [{"CANCEL_CLEANUP_S": "1"}])
@pytest.mark.scenario("cancel, clean-up too long", "cut off after CANCEL_CLEANUP_S, also when it swallows its cancel")
async def test_a_clean_up_that_takes_too_long_is_cut_off(idle_fleet: Fleet, client: Client, latch: Latch) -> None:
    idle_fleet.start(1)
    turns = await _begin(client, latch, *PLACES)
    turns += [await client.post("swallows", "swallows")]
    await client.until_status(turns[-1:], {"suspended"})

    await _cancel(client, turns)
    ended = await client.until_status(turns, within_s=10)

    assert {(each["status"], each["error"]["type"]) for each in ended.values()} == {("cancelled", "CleanupCutOff")}
    after = [await client.post(name, "steps", effects=1) for name in (*PLACES, "swallows")]
    await client.until_status(after)
    await client.judge()


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [{"CANCEL_CLEANUP_S": "1", "DISPATCH_SLOTS": "1"}])
@pytest.mark.scenario("cancel, no slot", "a suspended turn for which no slot is free ends without its code")
async def test_a_cancel_ends_a_turn_although_no_slot_is_free(idle_fleet: Fleet, client: Client, latch: Latch) -> None:
    idle_fleet.start(1)
    (suspended,) = await _begin(client, latch, "signal")
    busy = await client.post("busy", "holds", until=latch.path)
    await until_reached(client.sink, [busy], times=2)

    await _cancel(client, [suspended])
    ended = await client.until_status([suspended], within_s=10)
    latch.release()
    await client.until_status([busy])

    assert ended[suspended]["status"] == "cancelled"
    assert "turn.cancelling" not in await _types(client, suspended)
    await client.judge()
