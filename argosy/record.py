"""What a turn looks like in the log: TurnRequested, one schema-version byte and then msgpack.

Promise: bytes written by this version decode for ever; a newer version's bytes are refused as NewerRecordError and
kept aside with their raw bytes, never lost and never guessed at.
"""

from typing import Final

import msgspec

from argosy.errors import NewerRecordError, RecordError

SCHEMA_VERSION: Final = 1
ON_BUSY: Final = ("enqueue", "reject")


class TurnRequested(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One request for a turn, as the gateway admitted it.

    Shapes: turn_id 16 bytes; input and tags are JSON bytes (tags: an array of strings); digest 16 bytes or empty,
    of what a repetition under the same idempotency key must equal.
    Units:  not_before_ms Unix milliseconds, 0 for at once; deadline_s seconds from when the turn is due, 0 for none.
    """

    turn_id: bytes
    tenant: str
    lane: str
    session: str
    workflow: str
    input: bytes
    on_busy: str = "enqueue"
    priority: int = 0
    not_before_ms: int = 0
    deadline_s: float = 0.0
    tags: bytes = b""
    idempotency_key: str = ""
    digest: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(TurnRequested)
_prefix = bytes([SCHEMA_VERSION])


def encode(turn: TurnRequested) -> bytes:
    """The record's value."""
    return _prefix + _encoder.encode(turn)


def decode(value: bytes | None) -> TurnRequested:
    """The turn in a record's value. Raises RecordError (never parse again), NewerRecordError (a newer worker may)."""
    if not value:
        raise RecordError("the record is empty")
    if value[0] > SCHEMA_VERSION:
        raise NewerRecordError(f"the record has schema version {value[0]}, this worker knows {SCHEMA_VERSION}")
    if value[0] != SCHEMA_VERSION:
        raise RecordError(f"the record has schema version {value[0]}, which never existed")
    try:
        turn = _decoder.decode(memoryview(value)[1:])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(f"the record cannot be decoded: {error}") from error
    if len(turn.turn_id) != 16:
        raise RecordError(f"the record cannot be decoded: its turn_id has {len(turn.turn_id)} bytes, not 16")
    if turn.on_busy not in ON_BUSY:
        raise RecordError(f"on_busy is {turn.on_busy!r}, which this worker does not know")
    return turn
