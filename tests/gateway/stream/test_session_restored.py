"""A session's stream over a database that went back, or forgot a turn, while no turn of it was told."""

import uuid

import pytest

from argosy.gateway.stream import sync_points
from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Gateway
from tests.gateway.stream.owner import Asked, Owner, event, moved
from tests.gateway.stream.test_session_stream import PATH, ended
from tests.gateway.stream.turns import forget


async def lose(owner: Owner, rows: Rows, asked: Asked, turn_id: uuid.UUID, *, lineage: int = 2) -> None:
    """The owner has the partition under a new claim, and says so on the stream that it had."""
    await owner.own(rows.connection, lineage)
    asked.say(moved=moved(turn_id))


async def test_an_ending_that_never_happened_is_taken_back(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id, place = await ended(rows)
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        await reader.until(2)
        await rows.connection.execute("DELETE FROM events WHERE turn_id = $1 AND seq = 2", turn_id)
        await rows.connection.execute(
            "UPDATE turns SET status = 'running', ended_at = NULL, seq = 1 WHERE turn_id = $1", turn_id
        )
        await lose(owner, rows, asked, turn_id)
        await reader.until(3)
        asked = await owner.until_asked(2)
        asked.say(event=event(turn_id, 2, "turn.reset", place=place, lineage=2, attempt=2))
        asked.say(event=event(turn_id, 3, "turn.failed", place=place, lineage=2, attempt=2))
        await reader.until(5)

    assert [(each.type, each.id.partition(":")[2]) for each in reader.messages] == [
        ("turn.started", "1-1"),
        ("turn.completed", "1-2"),
        ("resync", "1-1"),
        ("turn.reset", "2-2"),
        ("turn.failed", "2-3"),
    ]


async def test_a_turn_at_the_place_of_one_that_never_was_is_told(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    first, _ = await ended(rows)
    second, place = await ended(rows)
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        await reader.until(4)
        await forget(rows, second)
        third = await rows.turn("chat", "running", attempt=1, place=place)
        await rows.events(third, ("turn.started", "", {}), lineage=2)
        await lose(owner, rows, asked, second)
        asked = await owner.until_asked(2)
        asked.say(event=event(third, 1, "turn.started", place=place, lineage=2))
        await reader.until(6)

    assert reader.types[4:] == ["resync", "turn.started"]
    assert reader.messages[4].body["turn_id"] == str(first)
    assert reader.messages[5].body["turn_id"] == str(third)


async def test_a_turn_that_was_to_come_and_never_was_holds_up_nobody(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    waits = await rows.turn("chat", "queued")
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        await forget(rows, waits)
        await lose(owner, rows, asked, waits)
        asked = await owner.until_asked(2)
        other, place = await ended(rows, lineage=2)
        asked.say(event=event(other, 1, "turn.started", place=place, lineage=2))
        asked.say(event=event(other, 2, "turn.completed", place=place, lineage=2))
        await reader.until(2)

    assert [each.body["turn_id"] for each in reader.messages] == [str(other)] * 2


async def test_a_new_owner_of_the_same_history_takes_nothing_back(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id, _ = await ended(rows)
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        await reader.until(2)
        await lose(owner, rows, asked, turn_id)
        asked = await owner.until_asked(2)
        other, place = await ended(rows, lineage=2)
        asked.say(event=event(other, 1, "turn.started", place=place, lineage=2))
        asked.say(event=event(other, 2, "turn.completed", place=place, lineage=2))
        await reader.until(4)

    assert reader.types == ["turn.started", "turn.completed"] * 2


@pytest.mark.parametrize("lineage", [1, 2], ids=["same history", "after a failover"])
async def test_a_turn_that_was_forgotten_meanwhile_is_not_taken_back(
    gateway: Gateway, owner: Owner, rows: Rows, lineage: int
) -> None:
    turn_id, _ = await ended(rows)
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        await reader.until(2)
        await forget(rows, turn_id)
        await lose(owner, rows, asked, turn_id, lineage=lineage)
        asked = await owner.until_asked(2)
        other, place = await ended(rows, lineage=lineage)
        asked.say(event=event(other, 1, "turn.started", place=place, lineage=lineage))
        asked.say(event=event(other, 2, "turn.completed", place=place, lineage=lineage))
        await reader.until(4)

    assert reader.types == ["turn.started", "turn.completed"] * 2


async def test_who_wants_what_happens_from_now_on_hears_of_turns_at_places_that_come_again(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    await ended(rows)
    second, place = await ended(rows)
    async with gateway.read(f"{PATH}?from=now") as reader:
        asked = await owner.until_asked()
        await forget(rows, second)
        await lose(owner, rows, asked, second)
        asked = await owner.until_asked(2)
        third = await rows.turn("chat", "running", attempt=1, place=place)
        await rows.events(third, ("turn.started", "", {}), lineage=2)
        asked.say(event=event(third, 1, "turn.started", place=place, lineage=2))
        await reader.until(1)

    assert [each.body["turn_id"] for each in reader.messages] == [str(third)]


async def test_a_turn_that_is_forgotten_between_two_reads_is_not_taken_back(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id, place = await ended(rows)
    other, _ = await ended(rows)

    async def meanwhile(point: str) -> None:
        if point == "found":
            sync_points.arm(None)
            await forget(rows, turn_id)

    sync_points.arm(meanwhile)
    async with gateway.read(PATH, last=f"{place}:1-2") as reader:
        await reader.until(2)

    assert [(each.type, each.body["turn_id"]) for each in reader.messages] == [
        ("turn.started", str(other)),
        ("turn.completed", str(other)),
    ]


async def test_a_forgotten_turn_is_not_taken_back_to_an_older_one_that_stays(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    """A turn with a younger duplicate stays longer than those after it."""
    await ended(rows)
    turn_id, _ = await ended(rows)
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        await reader.until(4)
        await forget(rows, turn_id)
        await lose(owner, rows, asked, turn_id, lineage=1)
        asked = await owner.until_asked(2)
        other, place = await ended(rows)
        asked.say(event=event(other, 1, "turn.started", place=place))
        asked.say(event=event(other, 2, "turn.completed", place=place))
        await reader.until(6)

    assert reader.types == ["turn.started", "turn.completed"] * 3
