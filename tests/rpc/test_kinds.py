"""Calls of all four kinds are signed in one way, and what is not signed as it must be reaches no servicer."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from argosy import telemetry
from argosy.rpc.peer import Peer, path_of
from argosy.rpc.signed_call import Callee, CallError
from argosy.rpc.signing import NONCE_HEADER, PROOF_HEADER, WORKER_HEADER, SignatureError, Signer, nonce, proof
from argosy.rpc.verify_calls import SilentBounds
from tests.harness.metrics import value_of
from tests.harness.relay import Relay, call_raw, nth_changed
from tests.harness.silent import SILENT
from tests.rpc.kinds import KEY, METHODS, Process, Text

KINDS = pytest.mark.parametrize("kind", METHODS)


@pytest.fixture
def silent() -> SilentBounds:
    return SILENT


@pytest.fixture
async def process(silent: SilentBounds) -> AsyncIterator[Process]:
    process = Process(silent)
    await process.start()
    yield process
    await process.stop()


@pytest.fixture
async def relay(process: Process) -> AsyncIterator[Relay]:
    async with Relay(process.callee.address) as relay:
        yield relay


async def say(peer: Peer, kind: str, *texts: str) -> list[str]:
    """The answers of a call in which these requests are made."""
    async with asyncio.timeout(5):
        call = await peer.open(METHODS[kind])
        for text in texts:
            await call.write(Text(text=text))
        await call.end()
        answers = []
        while (answer := await call.read()) is not None:
            answers.append(answer.text)
        return answers


def begun(kind: str, key: bytes = KEY) -> tuple[tuple[str, bytes], ...]:
    """The metadata of a call that begins now."""
    caller_nonce = nonce()
    return ((NONCE_HEADER, caller_nonce), (PROOF_HEADER, proof(key, path_of(METHODS[kind]), caller_nonce)))


async def raw(address: str, kind: str, messages: list[bytes], metadata: Any) -> tuple[grpc.StatusCode, list[bytes]]:
    return await call_raw(address, path_of(METHODS[kind]), messages, metadata)


@pytest.mark.parametrize(
    ("kind", "requests", "answers"),
    [
        ("Unary", ["a"], ["heard a"]),
        ("ClientStreaming", ["a", "b", "c"], ["a b c"]),
        ("ServerStreaming", ["a b c"], ["a", "b", "c"]),
        ("Bidirectional", ["a", "b", "c"], ["heard a", "heard b", "heard c"]),
    ],
)
async def test_each_kind_is_signed_and_served(
    process: Process, relay: Relay, kind: str, requests: list[str], answers: list[str]
) -> None:
    async with Peer(Callee(process.id, relay.address), KEY) as peer:
        assert await say(peer, kind, *requests) == answers

    (recorded,) = relay.calls
    assert recorded.method == f"/argosy.tests.Kinds/{kind}"
    assert len(recorded.requests) == len(requests)
    assert len(recorded.responses) == len(answers)
    assert Text(text=requests[0]).SerializeToString() not in recorded.requests  # each is the body of a Signed


async def test_calls_of_all_kinds_share_a_channel(process: Process) -> None:
    async with Peer(process.callee, KEY) as peer:
        answered = await asyncio.gather(*(say(peer, kind, "a") for kind in METHODS for _ in range(5)))

    assert [answers for kind in range(4) for answers in answered[kind * 5 : kind * 5 + 5]] == (
        [["heard a"]] * 5 + [["a"]] * 10 + [["heard a"]] * 5
    )


@KINDS
async def test_a_call_that_is_not_signed_is_refused(process: Process, kind: str) -> None:
    before = value_of(telemetry.CALLS_REFUSED)

    assert await raw(process.callee.address, kind, [Text(text="a").SerializeToString()], ()) == (
        grpc.StatusCode.UNAUTHENTICATED,
        [],
    )
    assert process.kinds.heard == []
    assert value_of(telemetry.CALLS_REFUSED) == before + 1


@KINDS
async def test_a_caller_with_another_secret_is_refused(process: Process, kind: str) -> None:
    async with Peer(process.callee, b"x" * 32) as peer:
        with pytest.raises(CallError):
            await say(peer, kind, "a")

    assert await raw(process.callee.address, kind, [], begun(kind, b"x" * 32)) == (
        grpc.StatusCode.UNAUTHENTICATED,
        [],
    )
    assert process.kinds.heard == []


@KINDS
async def test_a_first_message_that_is_signed_for_no_stream_is_refused(process: Process, kind: str) -> None:
    guessed = Signer(b"a guess").sign(Text(text="a").SerializeToString())

    assert await raw(process.callee.address, kind, [guessed], begun(kind)) == (grpc.StatusCode.UNAUTHENTICATED, [])
    assert process.kinds.heard == []


@KINDS
async def test_a_recorded_call_is_worth_nothing(process: Process, relay: Relay, kind: str) -> None:
    async with Peer(Callee(process.id, relay.address), KEY) as peer:
        await say(peer, kind, "a")
    (recorded,) = relay.calls

    code, answers = await raw(process.callee.address, kind, recorded.requests, recorded.metadata)

    assert (code, answers) == (grpc.StatusCode.UNAUTHENTICATED, [])
    assert process.kinds.heard == ["a"]


@KINDS
async def test_a_recorded_call_is_worth_nothing_to_a_method_of_another_kind(
    process: Process, relay: Relay, kind: str
) -> None:
    async with Peer(Callee(process.id, relay.address), KEY) as peer:
        await say(peer, kind, "a")
    (recorded,) = relay.calls

    for other in METHODS.keys() - {kind}:
        code, answers = await raw(process.callee.address, other, recorded.requests, recorded.metadata)
        assert (code, answers) == (grpc.StatusCode.UNAUTHENTICATED, [])
    assert process.kinds.heard == ["a"]


@KINDS
@pytest.mark.parametrize("silent", [SilentBounds(256, 0.1)])
async def test_a_call_on_which_nothing_signed_comes_in_time_is_refused(process: Process, kind: str) -> None:
    async with grpc.aio.insecure_channel(process.callee.address) as channel, asyncio.timeout(5):
        code = await channel.stream_stream(path_of(METHODS[kind]))(metadata=begun(kind)).code()

    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert process.kinds.heard == []


@KINDS
async def test_another_process_at_the_address_is_told_nothing(process: Process, kind: str) -> None:
    async with Peer(Callee(uuid.uuid4(), process.callee.address), KEY) as peer:
        with pytest.raises(CallError, match="is now the address of another worker"):
            await say(peer, kind, "a")

    assert process.kinds.heard == []


@KINDS
async def test_what_is_meant_for_another_process_is_refused(process: Process, relay: Relay, kind: str) -> None:
    gone = uuid.uuid4()
    relay.greeting = lambda greeting: {**greeting, WORKER_HEADER: gone.bytes}
    async with Peer(Callee(gone, relay.address), KEY) as peer:
        with pytest.raises(CallError):
            await say(peer, kind, "a")

    assert process.kinds.heard == []


TAMPERED = pytest.mark.parametrize(
    "change",
    [
        lambda message: [],
        lambda message: [message, message],
        lambda message: [message[:-1] + bytes([message[-1] ^ 1])],
    ],
    ids=["left out", "repeated", "changed"],
)


@TAMPERED
@pytest.mark.parametrize("kind", ["ClientStreaming", "Bidirectional"])
async def test_requests_that_were_tampered_with_end_the_call(
    process: Process, relay: Relay, kind: str, change: Callable[[bytes], list[bytes]]
) -> None:
    relay.requests = nth_changed(2, change)
    async with Peer(Callee(process.id, relay.address), KEY) as peer:
        with pytest.raises(CallError):
            await say(peer, kind, "a", "b", "c")

    assert process.kinds.heard in (["a"], ["a", "b"])  # with the second repeated, that came once


@TAMPERED
@pytest.mark.parametrize("kind", ["ServerStreaming", "Bidirectional"])
async def test_answers_that_were_tampered_with_are_not_believed(
    process: Process, relay: Relay, kind: str, change: Callable[[bytes], list[bytes]]
) -> None:
    relay.responses = nth_changed(2, change)
    async with Peer(Callee(process.id, relay.address), KEY) as peer:
        with pytest.raises(SignatureError):
            await say(peer, kind, *(["a b c"] if kind == "ServerStreaming" else ["a", "b", "c"]))


@pytest.mark.parametrize("kind", ["Unary", "ClientStreaming"])
async def test_an_only_answer_that_was_changed_is_not_believed(process: Process, relay: Relay, kind: str) -> None:
    relay.responses = nth_changed(1, lambda message: [message[:-1] + bytes([message[-1] ^ 1])])
    async with Peer(Callee(process.id, relay.address), KEY) as peer:
        with pytest.raises(SignatureError):
            await say(peer, kind, "a")


@pytest.mark.parametrize("kind", ["Unary", "ServerStreaming"])
async def test_a_second_request_changes_nothing_where_there_is_one(process: Process, relay: Relay, kind: str) -> None:
    relay.requests = nth_changed(1, lambda message: [message, message])
    async with Peer(Callee(process.id, relay.address), KEY) as peer:
        assert await say(peer, kind, "a") == (["heard a"] if kind == "Unary" else ["a"])

    assert process.kinds.heard == ["a"]
