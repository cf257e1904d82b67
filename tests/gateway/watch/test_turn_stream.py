"""What one client is told of one turn: history, then what its owner says, without a seam."""

import asyncio
import json
import uuid
from typing import Any

import pytest

from gateway.watch import points
from tests.gateway.rows import Rows
from tests.gateway.watch.conftest import Gateway, Serve
from tests.gateway.watch.owner import Owner, at, event, frame, gap, look, moved, reset
from tests.gateway.watch.until import until


def path_of(turn_id: uuid.UUID) -> str:
    return f"/v1/turns/{turn_id}/events"


async def add_event(rows: Rows, turn_id: uuid.UUID, seq: int, type_: str, key: str = "", data: Any = None, **more: int):
    await rows.connection.execute(
        "INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        turn_id, seq, more.get("lineage", 1), more.get("attempt", 1), type_, key, json.dumps(data or {}).encode(),
    )  # fmt: skip


async def running(rows: Rows, *events: tuple[str, str, Any]) -> uuid.UUID:
    turn_id = await rows.turn("s", "running", attempt=1)
    await rows.events(turn_id, ("turn.started", "", {}), *events)
    return turn_id


async def test_history_then_live_until_the_end(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows, ("step.completed", "a", {"result": 1, "attempts": 1}))

    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(event=event(turn_id, 3, "step.completed", "b", b'{"result":2,"attempts":1}'))
        asked.say(event=event(turn_id, 4, "turn.completed"))
        told = await reader.until_closed()

    assert reader.headers["content-type"].startswith("text/event-stream")
    assert [each.id for each in told] == ["1-1", "1-2", "1-3", "1-4"]
    assert reader.types == ["turn.started", "step.completed", "step.completed", "turn.completed"]
    assert told[2].body | {"at": ""} == {
        "turn_id": str(turn_id), "seq": 3, "attempt": 1, "type": "step.completed", "key": "b", "at": "",
        "data": {"result": 2, "attempts": 1},
    }  # fmt: skip
    assert told[2].body["at"].endswith("Z")


async def test_an_ended_turn_is_told_without_asking_anybody_and_then_204(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await rows.turn("s", "completed", attempt=1)
    await rows.events(turn_id, ("turn.started", "", {}), ("turn.completed", "", {}))

    async with gateway.read(path_of(turn_id)) as reader:
        told = await reader.until_closed()
    again = await gateway.client.get(
        path_of(turn_id), headers={"accept": "text/event-stream", "last-event-id": told[-1].id}
    )

    assert reader.seqs == [1, 2]
    assert again.status_code == 204
    assert owner.asked == []


async def test_what_was_seen_is_not_told_again_and_the_header_beats_from(gateway: Gateway, rows: Rows) -> None:
    turn_id = await running(rows, *[("value.recorded", f"k{n}", {"value": n}) for n in range(4)])

    async with gateway.read(f"{path_of(turn_id)}?from=1-1", last="1-3") as reader:
        await reader.until(2)
    async with gateway.read(f"{path_of(turn_id)}?from=2") as from_number:
        await from_number.until(3)

    assert reader.seqs == [4, 5]
    assert from_number.seqs == [3, 4, 5]


@pytest.mark.parametrize("last", ["x", "1", "1-", "-1", "1-2.3", "1-2.3.4.5", "1-99999999999", "4:1-2"])
async def test_an_id_that_no_stream_gave_out_is_a_400(gateway: Gateway, rows: Rows, last: str) -> None:
    turn_id = await running(rows)

    answer = await gateway.client.get(path_of(turn_id), headers={"accept": "text/event-stream", "last-event-id": last})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_event_id")


async def test_unknown_and_foreign_turns_are_404(gateway: Gateway, rows: Rows) -> None:
    turn_id = await running(rows)
    stranger = {"accept": "text/event-stream", "x-argosy-tenant": "stranger"}

    foreign = await gateway.client.get(path_of(turn_id), headers=stranger)
    unknown = await gateway.client.get(path_of(uuid.uuid4()), headers=stranger)

    assert (foreign.status_code, unknown.status_code) == (404, 404)


async def test_events_between_subscribed_and_the_read_are_told_once(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)

    async def meanwhile(point: str) -> None:
        if point == "subscribed":
            await add_event(rows, turn_id, 2, "value.recorded", "a", {"value": 1})
            owner.asked[0].say(event=event(turn_id, 2, "value.recorded", "a", b'{"value":1}'))
            owner.asked[0].say(event=event(turn_id, 3, "value.recorded", "b", b'{"value":2}'))

    points.arm(meanwhile)
    async with gateway.read(path_of(turn_id)) as reader:
        await reader.until(3)
        owner.asked[0].say(event=event(turn_id, 4, "turn.completed"))
        await reader.until_closed()

    assert reader.seqs == [1, 2, 3, 4]


async def test_events_between_the_read_and_live_are_told_once(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    is_subscribed = False

    async def meanwhile(point: str) -> None:
        nonlocal is_subscribed
        if point == "caught_up" and is_subscribed:
            is_subscribed = False
            for seq in (2, 3):
                await add_event(rows, turn_id, seq, "value.recorded", f"k{seq}", {"value": 1})
            owner.asked[0].say(event=event(turn_id, 2, "value.recorded", "k2", b'{"value":1}'))
            owner.asked[0].say(look=look(turn_id))
        is_subscribed = is_subscribed or point == "subscribed"

    points.arm(meanwhile)
    async with gateway.read(path_of(turn_id)) as reader:
        await reader.until(3)
        owner.asked[0].say(event=event(turn_id, 4, "turn.completed"))
        await reader.until_closed()

    assert reader.seqs == [1, 2, 3, 4]


async def test_ten_thousand_events_while_history_is_read_are_told_once(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows, *[("value.recorded", f"k{n}", {"value": n}) for n in range(2_999)])

    async def write() -> None:
        for begin in range(3_001, 13_001, 500):
            await rows.connection.executemany(
                "INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data)"
                " VALUES ($1, $2, 1, 1, 'value.recorded', $3, '{}')",
                [(turn_id, seq, f"k{seq}") for seq in range(begin, begin + 500)],
            )
            asked = owner.asked[-1] if owner.asked else None
            for seq in range(begin, begin + 500):
                if asked and asked.credit_bytes > 0:
                    asked.say(event=event(turn_id, seq, "value.recorded", f"k{seq}"))
            if asked:
                asked.say(look=look(turn_id))

    writing = asyncio.create_task(write())
    async with gateway.read(path_of(turn_id)) as reader:
        await writing
        await reader.until(13_000, within_s=60)

    assert reader.seqs == list(range(1, 13_001))


async def test_frames_have_ids_from_which_the_owner_goes_on(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "Hel"))
        asked.say(frame=frame(turn_id, 1, 101, 3, "lo"))
        told = await reader.until(3)

    async with gateway.read(path_of(turn_id), last=told[-1].id) as again:
        resumed = await owner.until_asked(2)
        resumed.say(frame=frame(turn_id, 1, 102, 5, "!"))
        await again.until(1)

    assert told[-1].id == "1-1.1.101"
    assert told[-1].data == {"attempt": 1, "n": 101, "step": "write", "channel": "answer", "offset": 3, "text": "lo"}
    assert (resumed.wanted.attempt, resumed.wanted.n) == (1, 101)
    assert again.types == ["frame"]
    assert again.told[0].data["text"] == "!"


async def test_the_event_that_ends_a_step_completes_its_text(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    done = b'{"result":1,"attempts":1,"channels":{"answer":{"text":"Hello!"}}}'
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "Hel"))
        asked.say(event=event(turn_id, 2, "step.completed", "write", done))
        asked.say(frame=frame(turn_id, 1, 101, 3, "lo"))
        asked.say(event=event(turn_id, 3, "turn.completed"))
        await reader.until_closed()

    assert reader.types == ["turn.started", "frame", "frame", "step.completed", "turn.completed"]
    assert reader.text() == "Hello!"
    assert (reader.told[2].data["n"], reader.told[2].id) == (0, "1-1.1.100")


async def test_a_client_that_comes_back_after_a_step_ended_has_a_gap_and_the_whole(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    done = {"result": 1, "attempts": 1, "channels": {"answer": {"text": "Hello!"}}}
    turn_id = await running(rows, ("step.completed", "write", done))

    async with gateway.read(path_of(turn_id), last="1-1.1.100") as reader:
        await reader.until(3)

    assert reader.types == ["gap", "frame", "step.completed"]
    assert reader.text() == "Hello!"


async def test_a_try_that_failed_is_announced_and_its_late_frames_are_not_told(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    failed = b'{"type":"E","message":"m","attempts":1,"delay_s":1}'
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "bad"))
        asked.say(event=event(turn_id, 2, "step.retrying", "write", failed))
        asked.say(frame=frame(turn_id, 1, 101, 3, " luck"))
        asked.say(channel_reset=reset(turn_id, 2, 102, tries=2))
        asked.say(frame=frame(turn_id, 2, 103, 0, "good", tries=2))
        await reader.until(5)

    assert reader.types == ["turn.started", "frame", "step.retrying", "channel.reset", "frame"]
    assert reader.text() == "good"


async def test_an_attempt_that_is_over_says_nothing_more(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "lost"))
        asked.say(event=event(turn_id, 2, "turn.reset", data=b'{"from_seq":1}', attempt=2))
        asked.say(frame=frame(turn_id, 1, 101, 4, " too"))
        asked.say(frame=frame(turn_id, 2, 1, 0, "kept", attempt=2))
        await reader.until(4)

    assert reader.types == ["turn.started", "frame", "turn.reset", "frame"]
    assert reader.told[-1].id == "1-2.2.1"


async def test_a_frame_waits_for_the_event_that_it_follows(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        await add_event(rows, turn_id, 2, "value.recorded", "k", {"value": 1})
        asked.say(frame=frame(turn_id, 2, 100, 0, "after"))
        await reader.until(3)

    assert reader.types == ["turn.started", "value.recorded", "frame"]


async def test_a_gap_is_told_and_healed(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "one"))
        asked.say(gap=gap(turn_id, 1, 101))
        asked.say(frame=frame(turn_id, 1, 102, 0, "one two three"))
        await reader.until(4)

    assert reader.types == ["turn.started", "frame", "gap", "frame"]
    assert reader.text() == "one two three"


async def test_without_an_owner_history_is_read_again_and_again(serve: Serve, rows: Rows) -> None:
    gateway = await serve()
    turn_id = await running(rows)

    async with gateway.read(path_of(turn_id)) as reader:
        await reader.until(1)
        await add_event(rows, turn_id, 2, "turn.completed")
        await reader.until_closed()

    assert reader.seqs == [1, 2]


async def test_a_silent_owner_is_given_up_and_the_new_one_found(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with Owner(b"a secret of the tests, long enough") as other, gateway.read(path_of(turn_id)) as reader:
        await owner.until_asked()
        await reader.until(1)
        owner.is_silent = True
        await other.own(rows.connection)
        asked = await other.until_asked(within_s=6)
        asked.say(event=event(turn_id, 2, "turn.completed"))
        await reader.until_closed()

    assert reader.seqs == [1, 2]


async def test_an_owner_that_moved_is_left_and_a_step_that_goes_on_there_is_still_heard(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    done = b'{"result":1,"attempts":1,"channels":{"answer":{"text":"one two"}}}'
    async with Owner(b"a secret of the tests, long enough") as other, gateway.read(path_of(turn_id)) as reader:
        first = await owner.until_asked()
        first.say(frame=frame(turn_id, 1, 100, 0, "one"))
        await other.own(rows.connection)
        owner.refuses = True
        first.say(moved=moved(turn_id, still_streams=True))
        second = await other.until_asked()
        second.say(at=at(turn_id, owner))
        first.say(frame=frame(turn_id, 1, 101, 3, " two"))
        await reader.until(3)
        first.say(moved=moved(turn_id))
        second.say(event=event(turn_id, 2, "step.completed", "write", done))
        second.say(event=event(turn_id, 3, "turn.completed"))
        await reader.until_closed()

    assert not any(asked.wanted.frames_only for asked in owner.asked)
    assert reader.types == ["turn.started", "frame", "frame", "step.completed", "turn.completed"]


async def test_a_client_that_comes_during_a_handover_hears_both_owners(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    async with Owner(b"a secret of the tests, long enough") as former, gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(at=at(turn_id, former))
        aside = await former.until_asked()
        aside.say(frame=frame(turn_id, 1, 100, 0, "still here"))
        await reader.until(2)

    assert aside.wanted.frames_only
    assert reader.text() == "still here"


async def test_another_worker_at_the_address_is_not_taken_for_the_owner(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    await rows.connection.execute("UPDATE partitions SET owner = $1", uuid.uuid4())
    await gateway.state.catalog.refresh()
    async with gateway.read(path_of(turn_id)) as reader:
        await owner.until_asked()
        await reader.until(1)
        await owner.own(rows.connection)
        await until(lambda: owner.asked[-1].wanted.worker_id == owner.worker_id.bytes)
        owner.asked[-1].say(event=event(turn_id, 2, "turn.completed"))
        await reader.until_closed()

    assert reader.seqs == [1, 2]


async def test_a_database_that_lost_its_tail_is_a_resync_and_never_a_used_id(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows, ("value.recorded", "a", {}))
    await add_event(rows, turn_id, 3, "value.recorded", "b", {}, lineage=2)

    async with gateway.read(path_of(turn_id), last="1-5") as reader:
        await reader.until(2)

    assert [(each.type, each.id) for each in reader.told] == [("resync", "1-2"), ("value.recorded", "2-3")]
    assert reader.told[0].data == {"from_seq": 2}


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

    assert [each.id for each in reader.told[3:]] == ["1-2", "2-3"]


async def test_a_failover_that_lost_nothing_is_no_resync(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, 0, "one", lineage=2))
        asked.say(event=event(turn_id, 2, "turn.completed", lineage=2))
        await reader.until_closed()

    assert [each.id for each in reader.told] == ["1-1", "1-1.1.100", "2-2"]


async def test_history_that_begins_later_is_a_snapshot_and_the_tail(gateway: Gateway, rows: Rows) -> None:
    turn_id = await running(rows, *[("value.recorded", f"k{n}", {"value": n}) for n in range(4)])
    await rows.connection.execute("DELETE FROM events WHERE turn_id = $1 AND seq < 4", turn_id)

    async with gateway.read(path_of(turn_id), last="1-1") as reader:
        await reader.until(3)

    assert reader.types == ["snapshot", "value.recorded", "value.recorded"]
    assert reader.told[0].data["turn"]["turn_id"] == str(turn_id)
    assert reader.seqs == [4, 5]


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


async def test_what_is_private_is_told_without_what_it_says(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    secret = {"result": "secret", "attempts": 1, "private": True}
    turn_id = await running(rows, ("step.completed", "hidden", secret))
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(event=event(turn_id, 3, "step.completed", "other", json.dumps(secret).encode()))
        told = await reader.until(3)
    page = (await gateway.client.get(path_of(turn_id))).json()

    assert [(each.type, each.body["key"], each.data) for each in told[1:]] == [("step.private", "", {})] * 2
    assert (page["events"][1]["type"], page["events"][1]["data"]) == ("step.private", {})
    assert (await gateway.client.get(f"/v1/turns/{turn_id}")).json()["steps"] == []


async def test_ndjson_has_the_same_members_and_the_id(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await rows.turn("s", "completed", attempt=1)
    await rows.events(turn_id, ("turn.started", "", {}), ("turn.completed", "", {}))

    answer = await gateway.client.get(path_of(turn_id), headers={"accept": "application/x-ndjson"})

    lines = [json.loads(line) for line in answer.text.splitlines() if line]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [(line["id"], line["type"], line["data"]) for line in lines] == [
        ("1-1", "turn.started", {}),
        ("1-2", "turn.completed", {}),
    ]


async def test_silence_is_filled_with_heartbeats(owner: Owner, serve: Serve, rows: Rows) -> None:
    gateway = await serve(sse_heartbeat_s=0.05)
    turn_id = await running(rows)

    async with gateway.read(path_of(turn_id)) as reader:
        await until(lambda: len(reader.comments) >= 3)


async def test_a_gateway_that_drains_sends_its_clients_away(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        await reader.until(1)
        gateway.state.drain()
        await reader.until_closed()
    refused = await gateway.client.get(path_of(turn_id), headers={"accept": "text/event-stream"})

    assert len(reader.retry_ms) == 2
    assert 100 <= reader.retry_ms[1] <= 3_000
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")


async def test_more_streams_than_there_may_be_are_refused(owner: Owner, serve: Serve, rows: Rows) -> None:
    gateway = await serve(gateway_streams_max=1)
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        await reader.until(1)
        refused = await gateway.client.get(path_of(turn_id), headers={"accept": "text/event-stream"})
    await until(lambda: not gateway.state.streams.count)
    async with gateway.read(path_of(turn_id)) as again:
        await again.until(1)

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1


async def test_credit_is_given_only_as_the_client_takes(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await running(rows)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1024)
    writer.write(
        f"GET {path_of(turn_id)} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n"
        f"x-argosy-tenant: {gateway.headers['x-argosy-tenant']}\r\n\r\n".encode()
    )
    asked = await owner.until_asked()
    said_bytes, silent_rounds, seq = 0, 0, 2
    while silent_rounds < 50:
        if asked.credit_bytes > 0:
            data = json.dumps({"value": "x" * 10_000}).encode()
            asked.say(event=event(turn_id, seq, "value.recorded", f"k{seq}", data))
            said_bytes, seq, silent_rounds = said_bytes + len(data), seq + 1, 0
            if seq % 4 == 0:
                await asyncio.sleep(0)
        else:
            silent_rounds += 1
            await asyncio.sleep(0.01)
        assert said_bytes < 50_000_000

    writer.close()
    print(f"a client that never reads was sent {said_bytes} bytes")
    assert said_bytes < 16_000_000
