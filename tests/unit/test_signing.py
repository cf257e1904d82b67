"""Signed streams: a message is believed in its own stream, direction and place, and nowhere else."""

import pytest

from argosy.rpc.signed_pb2 import Signed
from argosy.rpc.signing import (
    NONCE_HEADER,
    PROOF_HEADER,
    SignatureError,
    Signer,
    Verifier,
    caller_nonce_of,
    nonce,
    proof,
    stream_keys,
)  # fmt: skip

KEY, METHOD, CALLEE, OTHER = b"k" * 32, "/argosy.rpc.v2.Worker/Poke", b"c" * 16, b"o" * 16
CALLER_NONCE, CALLEE_NONCE = nonce(), nonce()
STREAM = (KEY, METHOD, CALLEE, CALLER_NONCE, CALLEE_NONCE)
BODIES = [b"first", b"", b"third" * 100_000]


def test_messages_are_believed_in_the_order_in_which_they_were_signed() -> None:
    signer, verifier = Signer(stream_keys(*STREAM).requests), Verifier(stream_keys(*STREAM).requests)

    assert [verifier.body_of(signer.sign(body)) for body in BODIES] == BODIES


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, b"x" * 32), (1, "/argosy.rpc.v2.Watch/Watch"), (2, OTHER), (3, nonce()), (4, nonce())],
    ids=["another secret", "another method", "another worker", "another caller's stream", "another stream of a callee"],
)
@pytest.mark.parametrize("direction", ["requests", "responses"])
def test_a_message_fits_no_other_stream(place: int, value: object, direction: str) -> None:
    message = Signer(getattr(stream_keys(*STREAM), direction)).sign(b"body")
    other = [value if number == place else each for number, each in enumerate(STREAM)]

    with pytest.raises(SignatureError):
        Verifier(getattr(stream_keys(*other), direction)).body_of(message)  # type: ignore[arg-type]


def test_what_one_side_said_is_no_answer_to_it() -> None:
    keys = stream_keys(*STREAM)

    with pytest.raises(SignatureError):
        Verifier(keys.responses).body_of(Signer(keys.requests).sign(b"body"))


@pytest.mark.parametrize("order", [(1,), (0, 0), (0, 2), (0, 1, 0)], ids=str)
def test_a_message_that_is_left_out_repeated_or_moved_is_refused(order: tuple[int, ...]) -> None:
    keys = stream_keys(*STREAM)
    signer, verifier = Signer(keys.requests), Verifier(keys.requests)
    messages = [signer.sign(body) for body in BODIES]

    for number in order[:-1]:
        verifier.body_of(messages[number])
    with pytest.raises(SignatureError):
        verifier.body_of(messages[order[-1]])


def _changed(message: bytes, **fields: bytes) -> bytes:
    signed = Signed.FromString(message)
    return bytes(Signed(**{"body": signed.body, "mac": signed.mac, **fields}).SerializeToString())


MESSAGE = Signer(stream_keys(*STREAM).requests).sign(b"body")
MAC = Signed.FromString(MESSAGE).mac


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff\xff\xff",
        _changed(MESSAGE, body=b"bodY"),
        _changed(MESSAGE, mac=b""),
        _changed(MESSAGE, mac=MAC[:16]),
        _changed(MESSAGE, mac=MAC + b"\0"),
        _changed(MESSAGE, mac=bytes([MAC[0] ^ 1]) + MAC[1:]),
    ],
    ids=["nothing", "no message", "another body", "no code", "half a code", "a longer code", "another code"],
)
def test_what_was_not_signed_is_refused(message: bytes) -> None:
    with pytest.raises(SignatureError):
        Verifier(stream_keys(*STREAM).requests).body_of(message)


def test_a_call_begins_with_the_proof_of_its_caller() -> None:
    metadata = {NONCE_HEADER: CALLER_NONCE, PROOF_HEADER: proof(KEY, METHOD, CALLER_NONCE)}

    assert caller_nonce_of(metadata, [KEY], METHOD) == (CALLER_NONCE, KEY)


@pytest.mark.parametrize(
    "changed",
    [
        {NONCE_HEADER: b""},
        {NONCE_HEADER: CALLER_NONCE + b"x"},
        {NONCE_HEADER: "text of 16 bytes"},
        {NONCE_HEADER: nonce()},
        {PROOF_HEADER: b""},
        {PROOF_HEADER: "text"},
        {PROOF_HEADER: proof(b"x" * 32, METHOD, CALLER_NONCE)},
        {PROOF_HEADER: proof(KEY, "/another/Method", CALLER_NONCE)},
        {PROOF_HEADER: None},
        {NONCE_HEADER: None},
    ],
    ids=[
        "nonce: empty",
        "nonce: too long",
        "nonce: text",
        "nonce: another",
        "proof: empty",
        "proof: text",
        "proof: another secret",
        "proof: another method",
        "proof: none",
        "nonce: none",
    ],
)
def test_a_call_that_begins_otherwise_is_refused(changed: dict[str, object]) -> None:
    metadata = {NONCE_HEADER: CALLER_NONCE, PROOF_HEADER: proof(KEY, METHOD, CALLER_NONCE)} | changed

    with pytest.raises(SignatureError):
        caller_nonce_of(metadata, [KEY], METHOD)


def test_every_nonce_is_another() -> None:
    assert len({nonce() for _ in range(1_000)}) == 1_000
