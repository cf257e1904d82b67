"""The value of a record in the log: one byte with the version of the schema, then a TurnRequested in msgpack.

Promise: every later version decodes what this version writes. A record of a newer version raises NewerRecordError; the
worker keeps it as a dead letter with its raw bytes, and never guesses at its content.
"""

from typing import Final

import msgspec

from argosy.errors import NewerRecordError, RecordError

SCHEMA_VERSION: Final = 1
ON_BUSY: Final = ("enqueue", "reject")


class TurnRequested(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A request for a turn, as the gateway admitted it.

    turn_id has 16 bytes; input and tags are JSON (tags: an array of strings). digest: 16 bytes, or empty; the digest of
    the content that a second request under the same idempotency key must have, too. not_before_ms: Unix milliseconds, 0
    for at once. deadline_s: seconds from when the turn is due, 0 for none. created_by: who posted it, as JSON
    (argosy/identity/turn_principal.py); empty: a gateway of a version before wrote the record.
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
    created_by: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(TurnRequested)
_prefix = bytes([SCHEMA_VERSION])


def encode(turn: TurnRequested) -> bytes:
    """Return the record's value."""
    return _prefix + _encoder.encode(turn)


def decode(value: bytes | None) -> TurnRequested:
    """Return the turn in a record's value. Raises RecordError (no worker can decode it), or its subclass
    NewerRecordError (a newer worker can).
    """
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
