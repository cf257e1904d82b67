"""What one client is told of one turn: history, then what its owner says, without a break."""

import asyncio
import json
import uuid
from typing import Any

import pytest

from argosy.gateway.stream import sync_points
from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Gateway, Serve
from tests.gateway.stream.owner import Owner, event, look
from tests.gateway.stream.turns import add_event, path_of, running
from tests.gateway.stream.until import until


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


@pytest.mark.parametrize("asked", [{"params": {"from": "1-1"}}, {"headers": {"last-event-id": "1-1"}}])
async def test_the_place_of_a_stream_is_none_in_a_page(gateway: Gateway, rows: Rows, asked: dict[str, Any]) -> None:
    turn_id = await running(rows)

    answer = await gateway.client.get(path_of(turn_id), **asked)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


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

    sync_points.arm(meanwhile)
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

    sync_points.arm(meanwhile)
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


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"n": 1}, {"result": {"n": 1}}),
        ({"private": True, "emits": 3}, {"result": {"private": True, "emits": 3}}),
        ("x" * 99, {"result_size_bytes": 101, "links": {"turn": "/v1/turns/{}"}}),
    ],
)
async def test_the_end_carries_the_result_or_its_size_and_where_it_is(
    result: object, told: dict[str, object], serve: Serve, owner: Owner, rows: Rows
) -> None:
    gateway = await serve(event_result_size_bytes_max=100)
    turn_id = await rows.turn("s", "completed", attempt=1, result=result)
    await rows.events(turn_id, ("turn.started", "", {}), ("turn.completed", "", {"channels": {"a": {"text": "b"}}}))

    async with gateway.read(path_of(turn_id)) as reader:
        last = (await reader.until_closed())[-1]
    page = (await gateway.client.get(path_of(turn_id))).json()["events"]

    expected = json.loads(json.dumps({"channels": {"a": {"text": "b"}}, **told}).replace("{}", str(turn_id)))
    assert (last.type, last.data) == ("turn.completed", expected)
    assert page[-1]["data"] == expected


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
