"""What was said on one stream says nothing on another, and nothing on its own in another order: real gRPC, recorded."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from argosy import telemetry
from argosy.rpc.peer import path_of
from argosy.rpc.poke import POKE
from argosy.rpc.server import RpcServer
from argosy.rpc.signing import WORKER_HEADER, SignatureError
from argosy.workers.dispatch.poke import PokeService
from tests.dispatch.said import Said
from tests.dispatch.stream.gateway import KEY, METHOD, Gateway
from tests.dispatch.stream.owner import Owner
from tests.harness.metrics import value_of
from tests.harness.relay import Change, Relay, call_raw, nth_changed
from tests.harness.silent import SILENT


@pytest.fixture
async def relay(owner: Owner) -> AsyncIterator[Relay]:
    async with Relay(owner.address) as relay:
        yield relay


@pytest.fixture
async def through(owner: Owner, relay: Relay) -> AsyncIterator[Gateway]:
    """A gateway that calls the owner through the relay."""
    async with Gateway(relay.address, owner.worker_id) as gateway:
        yield gateway


async def test_recorded_messages_open_no_second_stream(owner: Owner, relay: Relay, through: Gateway) -> None:
    await through.subscribe(turn_id=owner.turn().turn_id)
    (recorded,) = relay.calls

    code, answers = await call_raw(owner.address, METHOD, recorded.requests, recorded.metadata)

    assert recorded.requests
    assert (code, answers) == (grpc.StatusCode.UNAUTHENTICATED, [])
    assert owner.subscribers.count == 1


async def test_recorded_messages_mean_nothing_to_another_worker(owner: Owner, relay: Relay, through: Gateway) -> None:
    await through.subscribe(turn_id=owner.turn().turn_id)
    (recorded,) = relay.calls
    other = Owner()
    await other.start()

    code, answers = await call_raw(other.address, METHOD, recorded.requests, recorded.metadata)

    assert (code, answers, other.subscribers.count) == (grpc.StatusCode.UNAUTHENTICATED, [], 0)
    await other.stop()


async def test_recorded_messages_mean_nothing_to_another_method(owner: Owner, relay: Relay, through: Gateway) -> None:
    await through.send()
    await through.until(lambda: bool(through.received))
    said = Said()
    poke = PokeService(said, streams_max=1)
    server = RpcServer(key=KEY, worker_id=owner.worker_id, host="127.0.0.1", port=0, silent=SILENT)
    await server.start(poke)

    code, answers = await call_raw(server.address, path_of(POKE), relay.calls[0].requests, relay.calls[0].metadata)

    assert (code, answers, said.all) == (grpc.StatusCode.UNAUTHENTICATED, [], [])
    await server.stop()


async def test_a_call_that_is_relayed_to_another_worker_is_refused_there(owner: Owner, relay: Relay) -> None:
    """Who has the address of a worker that is gone asks a living one, and says that it is the one that was meant."""
    gone = Owner()
    relay.greeting = lambda greeting: {**greeting, WORKER_HEADER: gone.worker_id.bytes}
    async with Gateway(relay.address, gone.worker_id) as gateway:
        await gateway.send(subscribe=[gateway.request(turn_id=owner.turn().turn_id)])

        assert await gateway.until_ended() is grpc.StatusCode.UNAUTHENTICATED
    assert (gateway.items, owner.subscribers.count) == ([], 0)


async def test_who_says_that_it_is_another_worker_is_told_nothing(owner: Owner, relay: Relay) -> None:
    async with Gateway(relay.address, Owner().worker_id) as gateway:
        assert await gateway.until_ended() is grpc.StatusCode.UNAVAILABLE

    assert relay.calls[0].requests == []


def without_the_third() -> Change:
    return nth_changed(3, lambda message: [])


def with_the_third_twice() -> Change:
    return nth_changed(3, lambda message: [message, message])


def with_the_third_changed() -> Change:
    return nth_changed(3, lambda message: [message[:-1] + bytes([message[-1] ^ 1])])


def with_the_third_after_the_fourth() -> Change:
    kept: list[bytes] = []

    def change(message: bytes) -> list[bytes]:
        kept.append(message)
        return []

    changed = nth_changed(3, change)

    def swapped(messages: list[bytes]) -> list[bytes]:
        held = kept[:]
        kept.clear()
        return changed(messages) + held

    return swapped


TAMPERED = pytest.mark.parametrize(
    "tampered", [without_the_third, with_the_third_twice, with_the_third_changed, with_the_third_after_the_fourth]
)


@TAMPERED
async def test_requests_that_were_tampered_with_end_the_stream(
    owner: Owner, relay: Relay, through: Gateway, tampered: Any
) -> None:
    relay.requests = tampered()
    through.is_generous = False
    refused_before = value_of(telemetry.CALLS_REFUSED)

    for count in range(1, 6):
        turn = owner.turn()
        await through.send(subscribe=[through.request(turn_id=turn.turn_id)])
        if count < 3:
            await owner.until_watched(count)

    await through.until_ended()  # gRPC takes a message that is written while a stream ends for an error of its own
    assert value_of(telemetry.CALLS_REFUSED) == refused_before + 1
    await owner.until_watched(0)


@TAMPERED
async def test_answers_that_were_tampered_with_are_not_believed(
    owner: Owner, relay: Relay, through: Gateway, tampered: Any
) -> None:
    relay.responses = tampered()
    turn = owner.turn()
    number = await through.subscribe(turn_id=turn.turn_id)
    assert through.kinds(number) == ["subscribed"]  # the second message; the first said that it lives

    for _ in range(3):
        owner.write(turn)
        await asyncio.sleep(0.05)

    with pytest.raises(SignatureError):
        await through.until(lambda: False)
    assert [event.seq for event in through.of(number, "event")] in ([], [1])
    await owner.until_watched(0)
