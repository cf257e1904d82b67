"""The input in the record of a turn: sealed when it is made, and still so in the log and in turns.input. Pure."""

import uuid

from msgspec.structs import replace

from argosy import record
from argosy.record import TurnRequested
from argosy.seal.codec import Sealer
from argosy.seal.envelope import is_sealed
from argosy.seal.places import input_of


def place_of_input(asked: TurnRequested) -> bytes:
    """Return the place of the input of a record."""
    return input_of(asked.tenant, uuid.UUID(bytes=asked.turn_id))


def sealed_record(value: bytes, sealer: Sealer) -> bytes:
    """Return a record's value with its input sealed. Raises RecordError."""
    asked = record.decode(value)
    if is_sealed(asked.input):
        return value
    return record.encode(replace(asked, input=sealer.seal(asked.input, place_of_input(asked))))
