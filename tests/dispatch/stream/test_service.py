"""The Watch service over real gRPC: who may ask, who answers, and what a stream costs."""

import asyncio
import json
import uuid
from functools import partial
from typing import Any

import grpc
import pytest

from argosy.rpc.verify_calls import SilentBounds
from argosy.rpc.watch_pb2 import Refused
from argosy.turn.events import Event
from argosy.workers.dispatch.stream import service
from tests.dispatch.stream.gateway import METHOD, Gateway
from tests.dispatch.stream.owner import AT, SIZE_BYTES_MAX, Owner


async def test_a_durable_event_is_told_as_postgres_has_it(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id, epoch=10)

    owner.write(turn, Event.STEP_COMPLETED, "step", b'{"result":1}')
    await gateway.until(lambda: bool(gateway.of(number, "event")))

    (event,) = gateway.of(number, "event")
    assert gateway.of(number, "subscribed")[0].epoch == 10
    assert (event.turn_id, event.place, event.lineage) == (turn.turn_id.bytes, 7, 77)
    assert (event.seq, event.attempt, event.type, event.key) == (1, 1, "step.completed", "step")
    assert (event.data, event.at_us) == (b'{"result":1}', round(AT.timestamp()) * 1_000_000 - 1_000_000 + 678_901)


async def test_every_event_of_ten_thousand_is_told_once_and_in_order(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)

    for _ in range(10_000):
        owner.write(turn)
        if turn.seq % 500 == 0:
            await gateway.until(lambda: len(gateway.of(number, "event")) >= turn.seq - 400)
    await gateway.until(lambda: len(gateway.of(number, "event")) == 10_000)

    assert [event.seq for event in gateway.of(number, "event")] == list(range(1, 10_001))
    assert gateway.of(number, "look") == []


async def test_a_worker_says_that_it_lives(owner: Owner, gateway: Gateway) -> None:
    await gateway.send()

    await gateway.until(lambda: len(gateway.received) >= 3)

    times = [at_s for at_s, _ in gateway.received]
    assert 0.9 < times[2] - times[1] < 1.8


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"epoch": 11}, Refused.NOT_OWNER),
        ({"session_id": uuid.uuid4()}, Refused.UNKNOWN),
        ({"turn_id": b"short"}, Refused.UNKNOWN),
    ],
    ids=["a newer claim", "turn and session", "no turn"],
)
async def test_what_cannot_be_watched_here_is_refused(
    owner: Owner, gateway: Gateway, fields: dict[str, Any], reason: int
) -> None:
    number = await gateway.subscribe(**{"turn_id": owner.turn().turn_id, **fields})

    assert [each.reason for each in gateway.of(number, "refused")] == [reason]
    assert owner.subscribers.count == 0


async def test_a_partition_of_somebody_else_is_refused(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    owner.owned.clear()

    number = await gateway.subscribe(turn_id=turn.turn_id)

    assert [each.reason for each in gateway.of(number, "refused")] == [Refused.NOT_OWNER]


async def test_subscriptions_have_a_bound(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    await gateway.send(subscribe=[gateway.request(turn_id=turn.turn_id) for _ in range(100)])

    number = await gateway.subscribe(turn_id=turn.turn_id)
    await gateway.send(unsubscribe=[1])
    another = await gateway.subscribe(turn_id=turn.turn_id)

    assert [each.reason for each in gateway.of(number, "refused")] == [Refused.TOO_MANY]
    assert gateway.kinds(another) == ["subscribed"]


async def test_what_is_not_watched_any_more_is_not_told(owner: Owner, gateway: Gateway) -> None:
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)

    await gateway.send(unsubscribe=[number])
    await gateway.subscribe(turn_id=turn.turn_id)
    owner.write(turn)
    await gateway.until(lambda: bool(gateway.of(number + 1, "event")))

    assert gateway.kinds(number) == ["subscribed"]


async def test_a_stream_that_ends_leaves_nothing(owner: Owner) -> None:
    async with Gateway(owner.address, owner.worker_id) as gateway:
        await gateway.subscribe(turn_id=owner.turn().turn_id)
        assert owner.subscribers.count == 1

    await owner.until_watched(0)


async def test_a_turn_of_another_tenant_is_not_told(owner: Owner, gateway: Gateway) -> None:
    """Neither one that is in memory when it is asked for, nor one that comes later."""
    running, later = owner.turn("now"), owner.turn("later")
    del owner.live[later.turn_id]

    refused = await gateway.subscribe(turn_id=running.turn_id, tenant="other")
    unknown = await gateway.subscribe(turn_id=later.turn_id, tenant="other")
    of_session = await gateway.subscribe(session_id=later.session_id, tenant="other")
    owner.live[later.turn_id] = later
    for turn in (running, later):
        owner.write(turn)
        owner.emit(turn, "secret")
    mine = await gateway.subscribe(turn_id=later.turn_id)
    owner.write(later)
    await gateway.until(lambda: bool(gateway.of(mine, "event")))

    assert gateway.kinds(refused) == ["refused"]
    assert gateway.kinds(unknown) == gateway.kinds(of_session) == ["subscribed"]


async def test_who_says_nothing_signed_is_not_kept() -> None:
    owner = Owner(silent=SilentBounds(4, 0.05))
    await owner.start()
    async with Gateway(owner.address, owner.worker_id) as gateway:
        assert await gateway.until_ended() is grpc.StatusCode.UNAUTHENTICATED
    await owner.stop()


async def test_streams_have_a_bound(owner: Owner) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_hold_streams(owner))


async def _hold_streams(owner: Owner) -> None:
    gateways = [Gateway(owner.address, owner.worker_id) for _ in range(3)]
    for each in gateways:
        async with asyncio.timeout(5):
            each.read()
            await each.send()
            await each.until(partial(bool, each.received))
    async with Gateway(owner.address, owner.worker_id) as one_more:
        await one_more.send()
        assert await one_more.until_ended() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for each in gateways:
        await each.__aexit__()


async def test_other_kinds_of_calls_are_not_answered(owner: Owner) -> None:
    async with grpc.aio.insecure_channel(owner.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(METHOD)(b"", timeout=5)

    assert caught.value.code() is not grpc.StatusCode.OK


async def test_a_gateway_that_never_reads_costs_a_bounded_number_of_bytes(owner: Owner, gateway: Gateway) -> None:
    """It has all the credit in the world, takes nothing, and others are served as if it were not there."""
    turn = owner.turn()
    silent = Gateway(owner.address, owner.worker_id)
    request = silent.request(turn_id=turn.turn_id, credit_bytes=1 << 40)
    await silent.send(subscribe=[request])
    await owner.until_watched(1)
    (connection,) = {each.connection for each in owner.subscribers.all()}
    number = await gateway.subscribe(turn_id=turn.turn_id)

    largest = 0
    for _ in range(300):
        owner.write(turn, data=b'"%b"' % (b"x" * 100_000))
        owner.emit(turn, "y" * 1000)
        await asyncio.sleep(0.005)
        largest = max(largest, connection.size_bytes)
    await gateway.until(lambda: len(gateway.of(number, "event")) == 300)

    assert SIZE_BYTES_MAX < largest < SIZE_BYTES_MAX + 200_000
    silent.read()
    await silent.until(lambda: bool(silent.of(1, "look")))
    owner.write(turn)
    await silent.until(lambda: silent.of(1, "event")[-1:] == gateway.of(number, "event")[-1:] != [])
    await silent.until(lambda: silent.text(1) == "y" * 300_000)
    seqs = [event.seq for event in silent.of(1, "event")]
    assert seqs == sorted(set(seqs))
    await silent.__aexit__()


async def test_a_gateway_that_takes_nothing_for_long_is_let_go(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_TAKEN_WITHIN_S", 0.2)
    turn = owner.turn()
    silent = Gateway(owner.address, owner.worker_id)
    await silent.send(subscribe=[silent.request(turn_id=turn.turn_id, credit_bytes=1 << 40)])

    await owner.until_watched(1)
    async with asyncio.timeout(5):
        while owner.subscribers.count:
            owner.write(turn, data=b'"%b"' % (b"x" * 100_000))
            await asyncio.sleep(0.01)
    await silent.__aexit__()


async def test_a_worker_that_ends_says_its_last_words(owner: Owner, gateway: Gateway) -> None:
    gateway.is_generous = False  # gRPC takes a message that is written while a stream ends for an error of its own
    turn = owner.turn()
    number = await gateway.subscribe(turn_id=turn.turn_id)

    owner.write(turn, Event.TURN_COMPLETED)
    owner.service.close()

    assert await gateway.until_ended() is grpc.StatusCode.UNAVAILABLE
    assert [event.type for event in gateway.of(number, "event")] == ["turn.completed"]


@pytest.mark.parametrize(
    ("result", "told"), [(b"[1]", {"result": [1]}), (b'"' + b"x" * 1_000 + b'"', {"result_size_bytes": 1_002})]
)
async def test_the_end_carries_the_result_up_to_the_bound(
    result: bytes, told: dict[str, object], owner: Owner, gateway: Gateway
) -> None:
    turn = owner.turn()
    turn.result = result
    number = await gateway.subscribe(turn_id=turn.turn_id)

    owner.write(turn, Event.TURN_COMPLETED)
    await gateway.until(lambda: bool(gateway.of(number, "event")))

    data = json.loads(gateway.of(number, "event")[-1].data)
    data.pop("links", None)
    assert data == told
