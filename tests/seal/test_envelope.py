"""A sealed value opens where it belongs, and nowhere else."""

import uuid

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from argosy.seal.envelope import OVERHEAD_SIZE_BYTES, is_sealed, key_id_of, seal, unseal
from argosy.seal.errors import PayloadUnreadableError
from argosy.seal.places import error_of, event_of, input_of, outcome_of, prop_of, result_of, signal_of

KEY = AESGCM(bytes(range(32)))
TURN, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
PLACE = input_of("acme", TURN)

# Each is where the same value could be brought, or what could be done to it.
PLACES = {
    "another tenant": input_of("acme2", TURN),
    "another turn": input_of("acme", OTHER),
    "another column": result_of("acme", TURN),
    "another table": event_of("acme", TURN, 0),
    "a signal": signal_of("acme", TURN, ""),
    "an outcome": outcome_of("acme", TURN, ""),
}
CHANGES = {
    "cut off": lambda value: value[:-1],
    "empty but for its head": lambda value: value[:5],
    "one byte": lambda value: value[:1],
    "longer": lambda value: value + b"\0",
    "another ciphertext": lambda value: value[:20] + bytes([value[20] ^ 1]) + value[21:],
    "another nonce": lambda value: value[:6] + bytes([value[6] ^ 1]) + value[7:],
    "another tag": lambda value: value[:-1] + bytes([value[-1] ^ 1]),
    "another key's id": lambda value: value[:4] + bytes([value[4] ^ 1]) + value[5:],
}


@pytest.mark.parametrize("data", [b"", b"null", b"x" * 300_000])
def test_what_was_sealed_opens(data: bytes) -> None:
    value = seal(KEY, 7, data, PLACE)

    assert is_sealed(value)
    assert key_id_of(value) == 7
    assert len(value) == len(data) + OVERHEAD_SIZE_BYTES
    assert unseal(KEY, value, PLACE) == data
    assert seal(KEY, 7, data, PLACE) != value


@pytest.mark.parametrize("where", PLACES)
def test_a_value_does_not_open_elsewhere(where: str) -> None:
    with pytest.raises(PayloadUnreadableError):
        unseal(KEY, seal(KEY, 7, b"{}", PLACE), PLACES[where])


@pytest.mark.parametrize("how", CHANGES)
def test_a_changed_value_does_not_open(how: str) -> None:
    value = CHANGES[how](seal(KEY, 7, b'{"a":1}', PLACE))

    assert is_sealed(value)
    with pytest.raises(PayloadUnreadableError):
        unseal(KEY, value, PLACE)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(PayloadUnreadableError):
        unseal(AESGCM(bytes(32)), seal(KEY, 7, b"{}", PLACE), PLACE)


@pytest.mark.parametrize("value", [None, b"", b"null", b'{"a":1}', b'"x"', b" 1"])
def test_json_is_not_sealed(value: bytes | None) -> None:
    assert not is_sealed(value)


DIGEST = "c924159753c55c9e5b3f965c998f52f34a63f8d8a184f1c79c7dd81f5d432217"  # of ada and born


def test_places_never_change() -> None:
    """What was sealed by an earlier version opens."""
    tenth = "0000000000000000000000000000000a"
    row = uuid.UUID(tenth)
    assert {
        input_of("a", row).hex(),
        error_of("a", row).hex(),
        event_of("a", row, 258).hex(),
        signal_of("a", row, "go").hex(),
        prop_of("a", row, ("ada",), "born").hex(),
    } == {
        f"0001000b00000000000000000000{tenth}61{b'turns.input'.hex()}",
        f"0001000b00000000000000000000{tenth}61{b'turns.error'.hex()}",
        f"0001000b00000000000000000102{tenth}61{b'events.data'.hex()}",
        f"0001000c00020000000000000000{tenth}61{b'inbox.signal'.hex()}{b'go'.hex()}",
        f"0001000b00400000000000000000{tenth}61{b'graphs.prop'.hex()}{DIGEST.encode().hex()}",
    }


def test_the_form_never_changes() -> None:
    """A value that another implementation has made by the description opens."""
    nonce = bytes(12)
    head = b"\x01\x00\x00\x00\x07"

    assert unseal(KEY, head + nonce + KEY.encrypt(nonce, b"[1]", head + PLACE), PLACE) == b"[1]"
