"""Streams whose history went back, begins later, or is not there yet."""

from datetime import UTC, datetime, timedelta

from argosy.gateway.stream import sync_points
from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Gateway
from tests.gateway.stream.owner import Owner, event, frame, look
from tests.gateway.stream.turns import add_event, forget, path_of, running


async def test_a_database_that_lost_its_tail_is_a_resync_and_never_a_used_id(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows, ("value.recorded", "a", {}))
    await add_event(rows, turn_id, 3, "value.recorded", "b", {}, lineage=2)

    async with gateway.read(path_of(turn_id), last="1-5") as reader:
        await reader.until(2)

    assert [(each.type, each.id) for each in reader.messages] == [("resync", "1-2"), ("value.recorded", "2-3")]
    assert reader.messages[0].data == {"from_seq": 2}


async def test_a_database_that_goes_back_under_an_open_stream_is_a_resync(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows, ("value.recorded", "a", {}), ("value.recorded", "b", {}))
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        await reader.until(3)
        await rows.connection.execute("DELETE FROM events WHERE turn_id = $1 AND seq > 2", turn_id)
        await add_event(rows, turn_id, 3, "value.recorded", "c", {}, lineage=2)
        asked.say(event=event(turn_id, 3, "value.recorded", "c", lineage=2))
        await reader.until(5)

    assert [each.id for each in reader.messages[3:]] == ["1-2", "2-3"]


async def test_a_failover_that_lost_nothing_is_no_resync(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "one", lineage=2))
        asked.say(event=event(turn_id, 2, "turn.completed", lineage=2))
        await reader.until_closed()

    assert [each.id for each in reader.messages] == ["1-1", "1-1.1.100", "2-2"]


async def test_history_that_begins_later_is_a_snapshot_and_the_tail(gateway: Gateway, rows: Rows) -> None:
    turn_id = await running(rows, *[("value.recorded", f"k{n}", {"value": n}) for n in range(4)])
    await rows.connection.execute("DELETE FROM events WHERE turn_id = $1 AND seq < 4", turn_id)

    async with gateway.read(path_of(turn_id), last="1-1") as reader:
        await reader.until(3)

    assert reader.types == ["snapshot", "value.recorded", "value.recorded"]
    assert reader.messages[0].data["turn"]["turn_id"] == str(turn_id)
    assert reader.seqs == [4, 5]


async def test_a_turn_that_is_forgotten_between_two_reads_is_not_taken_back(gateway: Gateway, rows: Rows) -> None:
    await rows.accepted_through("s", datetime.now(UTC))
    turn_id = await rows.turn("s", "completed", turn_id=rows.mint("s", age_s=3600))
    await rows.events(turn_id, ("turn.started", "", {}), ("turn.completed", "", {}))

    async def meanwhile(point: str) -> None:
        if point == "found":
            sync_points.arm(None)
            await forget(rows, turn_id)

    sync_points.arm(meanwhile)
    async with gateway.read(path_of(turn_id), last="1-1") as reader:
        await reader.until_closed()

    assert reader.messages == []
    async with gateway.read(path_of(turn_id), last="1-1") as reader:
        assert reader.status == 404


async def test_a_turn_that_is_not_there_any_more_and_may_come_again_is_taken_back(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    await rows.accepted_through("s", datetime.now(UTC) - timedelta(hours=1))
    turn_id = await running(rows)

    async def meanwhile(point: str) -> None:
        if point == "found":
            sync_points.arm(None)
            await forget(rows, turn_id)

    sync_points.arm(meanwhile)
    async with gateway.read(path_of(turn_id), last="1-1") as reader:
        await reader.until(1)

    assert [(each.type, each.id) for each in reader.messages] == [("resync", "0-0")]


async def test_a_turn_that_is_only_in_the_log_is_watched(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = rows.mint("fresh")
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        await rows.turn("fresh", "running", attempt=1, turn_id=turn_id)
        asked.say(event=event(turn_id, 1, "turn.started"))
        await reader.until(1)

    assert reader.seqs == [1]


async def test_a_turn_that_becomes_a_duplicate_is_the_first_one(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    first = await rows.turn("s", "completed", attempt=1)
    await rows.events(first, ("turn.started", "", {}), ("turn.completed", "", {}))
    turn_id = rows.mint("s")
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        await rows.turn("s", "duplicate", turn_id=turn_id, duplicate_of=first)
        asked.say(look=look(turn_id))
        told = await reader.until_closed()

    assert [each.body["turn_id"] for each in told] == [str(first), str(first)]
