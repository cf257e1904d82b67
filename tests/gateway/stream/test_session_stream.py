"""What one client is told of a session: its turns one after the other, in the order in which they start."""

import uuid
from typing import Any

from argosy import ids
from argosy.gateway.stream.place_cipher import PlaceCipher
from tests.gateway.rows import LANE, Rows
from tests.gateway.stream.conftest import Gateway
from tests.gateway.stream.owner import Owner, event, frame, look

PATH = "/v1/sessions/chat/events"
ENDED: tuple[tuple[str, str, Any], ...] = (("turn.started", "", {}), ("turn.completed", "", {}))


def sealed(gateway: Gateway, rows: Rows, place: int) -> str:
    """A place of the session as its clients see it."""
    return PlaceCipher(gateway.state.places_key, ids.session_id_of(rows.tenant, LANE, "chat")).seal(place)


async def ended(rows: Rows, status: str = "completed", *, lineage: int = 1) -> tuple[uuid.UUID, int]:
    place = await rows.connection.fetchval("SELECT nextval('places')")
    turn_id = await rows.turn("chat", status, attempt=1, place=place)
    events = ENDED if status == "completed" else ((f"turn.{status}", "", {}),)
    await rows.events(turn_id, *events, lineage=lineage)
    return turn_id, place


async def test_turns_are_told_one_after_the_other(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    first, place = await ended(rows)
    running = await rows.turn("chat", "running", attempt=1)
    await rows.events(running, ("turn.started", "", {}))
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(running, 1, 100, 0, "hi"))
        await reader.until(4)

    assert asked.request.session_id
    assert [each.body["turn_id"] for each in reader.messages] == [str(first)] * 2 + [str(running)] * 2
    assert reader.messages[0].id == f"{sealed(gateway, rows, place)}:1-1"
    assert reader.messages[3].id.endswith(":1-1.1.100")


async def test_a_turn_that_ended_behind_the_running_one_is_told_after_it(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    running = await rows.turn("chat", "running", attempt=1)
    await rows.events(running, ("turn.started", "", {}))
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        await reader.until(1)
        cancelled, place = await ended(rows, "cancelled")
        asked.say(event=event(cancelled, 1, "turn.cancelled", attempt=0, place=place))
        asked.say(event=event(running, 2, "step.completed", "a", b'{"result":1,"attempts":1}'))
        asked.say(event=event(running, 3, "turn.completed"))
        await reader.until(4)

    assert reader.types == ["turn.started", "step.completed", "turn.completed", "turn.cancelled"]


async def test_the_next_turn_is_told_from_its_start(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    await ended(rows)
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        await reader.until(2)
        second = await rows.turn("chat", "running", attempt=1)
        place = await rows.connection.fetchval("SELECT place FROM turns WHERE turn_id = $1", second)
        await rows.events(second, ("turn.started", "", {}))
        asked.say(event=event(second, 1, "turn.started", place=place))
        asked.say(frame=frame(second, 1, 7, 0, "x", place=place))
        await reader.until(4)

    assert reader.types[2:] == ["turn.started", "frame"]
    assert reader.messages[2].id == f"{sealed(gateway, rows, place)}:1-1"


async def test_a_session_that_is_not_there_yet_is_watched(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    async with gateway.read(PATH) as reader:
        asked = await owner.until_asked()
        turn_id, _ = await ended(rows)
        asked.say(look=look(turn_id))
        await reader.until(2)

    assert reader.status == 200
    assert reader.seqs == [1, 2]


async def test_a_stream_goes_on_after_its_last_id_and_may_begin_now(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    _, place = await ended(rows)
    second, _ = await ended(rows)
    running = await rows.turn("chat", "running", attempt=1)
    await rows.events(running, ("turn.started", "", {}))

    last = f"{sealed(gateway, rows, place)}:1-2"
    async with gateway.read(PATH, last=last) as after, gateway.read(f"{PATH}?from=now") as now:
        await after.until(3)
        await now.until(1)

    assert [each.body["turn_id"] for each in after.messages] == [str(second), str(second), str(running)]
    assert [each.body["turn_id"] for each in now.messages] == [str(running)]


async def test_a_turn_that_was_lost_with_the_databases_tail_is_a_resync(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    first, place = await ended(rows)
    again, new_place = await ended(rows, lineage=2)

    async with (
        gateway.read(PATH, last=f"{new_place}:1-2") as reused,
        gateway.read(PATH, last=f"{new_place + 9}:1-1") as lost,
    ):
        await reused.until(3)
        await lost.until(3)

    for reader in (reused, lost):
        assert reader.messages[0].type == "resync"
        assert (reader.messages[0].id, reader.messages[0].body["turn_id"]) == (
            f"{sealed(gateway, rows, place)}:1-2",
            str(first),
        )
        assert [each.body["turn_id"] for each in reader.messages[1:]] == [str(again)] * 2


async def test_turns_that_were_forgotten_are_passed_over(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id, place = await ended(rows)

    async with gateway.read(PATH, last=f"{place - 1}:1-1") as reader:
        await reader.until(2)

    assert [each.body["turn_id"] for each in reader.messages] == [str(turn_id)] * 2


async def test_ids_of_a_turns_stream_are_refused(gateway: Gateway) -> None:
    answer = await gateway.client.get(PATH, headers={"last-event-id": "1-2"})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_event_id")
