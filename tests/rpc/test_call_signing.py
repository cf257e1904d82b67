"""Signed calls: who is believed, and what is not taken for another call's message."""

import uuid

import pytest

from argosy.rpc import shard_pb2
from argosy.rpc.call_signing import (
    ANSWERS,
    CALL_HEADER,
    REQUESTS,
    SUFFIX_SIZE_BYTES,
    Codes,
    Opening,
    call_key,
    header_of,
    opening_of,
)
from argosy.rpc.signing import SignatureError

KEY, METHOD = b"k" * 32, "/argosy.rpc.v2.Shard/Drop"
OPENING = Opening(uuid.UUID(int=7), 1_000_000, b"n" * 16)
CALL = call_key(KEY, METHOD, OPENING)


def metadata(opening: Opening = OPENING, key: bytes = KEY) -> dict[str, bytes]:
    return {CALL_HEADER: header_of(opening, call_key(key, METHOD, opening))}


def test_a_call_opens_with_whom_it_means_and_when() -> None:
    assert opening_of(metadata(), [KEY], METHOD) == (OPENING, CALL)


@pytest.mark.parametrize(
    "presented",
    [
        {},
        {CALL_HEADER: "text"},
        {CALL_HEADER: b""},
        {CALL_HEADER: metadata()[CALL_HEADER] + b"\0"},
        metadata(key=b"o" * 32),
    ],
)
def test_a_call_that_no_process_of_the_fleet_opened_is_refused(presented: dict[str, bytes]) -> None:
    with pytest.raises(SignatureError):
        opening_of(presented, [KEY], METHOD)


@pytest.mark.parametrize("place", range(len(metadata()[CALL_HEADER])))
def test_no_byte_of_an_opening_can_be_altered(place: int) -> None:
    altered = bytearray(metadata()[CALL_HEADER])
    altered[place] ^= 1

    with pytest.raises(SignatureError):
        opening_of({CALL_HEADER: bytes(altered)}, [KEY], METHOD)


def test_an_opening_is_for_one_method() -> None:
    with pytest.raises(SignatureError):
        opening_of(metadata(), [KEY], "/argosy.rpc.v2.Shard/Create")


@pytest.mark.parametrize(
    ("now_ms", "is_stale"), [(940_000, False), (1_060_000, False), (939_999, True), (1_060_001, True)]
)
def test_a_call_is_taken_within_a_window_around_the_clock(now_ms: int, is_stale: bool) -> None:
    assert OPENING.is_stale(now_ms, 60.0) is is_stale


def test_messages_are_valid_in_their_order() -> None:
    signer, verifier = Codes(CALL, REQUESTS), Codes(CALL, REQUESTS)

    bodies = [verifier.body_of(signer.sign(body)) for body in (b"one", b"", b"two")]

    assert bodies == [b"one", b"", b"two"]


def test_a_stream_ends_with_a_code_of_its_own() -> None:
    signer, verifier = Codes(CALL, ANSWERS), Codes(CALL, ANSWERS)
    verifier.body_of(signer.sign(b"one"))

    end = signer.sign_end()

    assert verifier.is_end(end)
    with pytest.raises(SignatureError):
        verifier.body_of(end)


def test_an_empty_message_is_no_end_and_an_early_end_is_none() -> None:
    verifier = Codes(CALL, ANSWERS)
    late = Codes(CALL, ANSWERS)
    late.sign(b"one")

    assert not verifier.is_end(Codes(CALL, ANSWERS).sign(b""))
    assert not verifier.is_end(late.sign_end())


ONE = Codes(CALL, REQUESTS).sign(b"one")


@pytest.mark.parametrize("place", range(len(ONE)))
def test_no_byte_of_a_message_can_be_altered(place: int) -> None:
    altered = bytearray(ONE)
    altered[place] ^= 1

    with pytest.raises(SignatureError):
        Codes(CALL, REQUESTS).body_of(bytes(altered))


def later() -> Codes:
    """One that has seen a message."""
    codes = Codes(CALL, REQUESTS)
    codes.sign(b"one")
    return codes


@pytest.mark.parametrize(
    "verifier",
    [
        Codes(CALL, ANSWERS),
        Codes(CALL, REQUESTS, b"c" * 16),
        Codes(call_key(KEY, METHOD, OPENING._replace(nonce=b"o" * 16)), REQUESTS),
        Codes(call_key(KEY, METHOD, OPENING._replace(callee_id=uuid.UUID(int=8))), REQUESTS),
        Codes(call_key(KEY, METHOD, OPENING._replace(at_ms=1_000_001)), REQUESTS),
        Codes(call_key(KEY, "/argosy.rpc.v2.Shard/Create", OPENING), REQUESTS),
        later(),
    ],
    ids=["direction", "challenge", "call", "callee", "time", "method", "place"],
)
def test_a_message_is_valid_at_one_place_only(verifier: Codes) -> None:
    with pytest.raises(SignatureError):
        verifier.body_of(ONE)


@pytest.mark.parametrize("size", range(SUFFIX_SIZE_BYTES))
def test_what_is_shorter_than_a_code_is_no_message(size: int) -> None:
    with pytest.raises(SignatureError):
        Codes(CALL, REQUESTS).body_of(ONE[:size])


def test_who_knows_nothing_of_codes_can_read_a_message() -> None:
    asked = shard_pb2.QueryRequest(cypher="RETURN 1")

    read = shard_pb2.QueryRequest.FromString(Codes(CALL, REQUESTS).sign(asked.SerializeToString()))

    assert read.cypher == "RETURN 1"


def test_no_message_of_a_shard_has_the_field_of_codes() -> None:
    messages = shard_pb2.DESCRIPTOR.message_types_by_name.values()

    assert [each.name for each in messages if 15 in each.fields_by_number] == []


def test_calls_have_the_bytes_that_they_had() -> None:
    assert header_of(OPENING, CALL)[40:].hex() == "95bb43ef5bcfdd49af5534901a37aa958f61af459506095cba94fe8f0befdb6c"
    assert ONE.hex() == "6f6e657a20dcb48e129116ed8c37e6366860128918483bbddfb094c0fde9f2e4a495866923"
