"""The inputs of records that an accept takes: opened for the turns in memory, sealed for Postgres.

Gateways seal inputs, so most are written as they came. One that came as it is, from a gateway without keys or another
producer, is sealed here. One that does not open becomes a turn all the same: its history is read before it runs, and
then it is parked.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from argosy import record
from argosy.errors import RecordError
from argosy.record import TurnRequested
from argosy.seal.codec import Codec, Opener, Sealer
from argosy.seal.envelope import is_sealed
from argosy.seal.errors import PayloadUnreadableError
from argosy.seal.records import place_of_input

_NULL: Final = b"null"


class Opened(NamedTuple):
    """A record with its input opened. stored: the input as it is to be written. is_readable: else the input is null."""

    asked: TurnRequested
    stored: bytes
    is_readable: bool


class RecordPayloads:
    """Opens and seals the inputs of one accept."""

    def __init__(self, opener: Opener, sealers: Mapping[str, Sealer]) -> None:
        self._opener = opener
        self._sealers = sealers

    def of(self, asked: TurnRequested) -> Opened:
        """Return the record with its input opened."""
        if is_sealed(asked.input):
            try:
                opened = self._opener.open(asked.tenant, asked.input, place_of_input(asked))
            except PayloadUnreadableError:
                return Opened(replace(asked, input=_NULL), asked.input, is_readable=False)
            return Opened(replace(asked, input=opened), asked.input, is_readable=True)
        sealer = self._sealers.get(asked.tenant)
        stored = asked.input if sealer is None else sealer.seal(asked.input, place_of_input(asked))
        return Opened(asked, stored, is_readable=True)


AS_THEY_ARE: Final = RecordPayloads(Opener(), {})


async def payloads_of(codec: Codec, values: Iterable[bytes | None]) -> RecordPayloads:
    """Return what opens and seals the inputs of these records. Raises StoreUnavailableError."""
    if not codec.is_on:
        return AS_THEY_ARE
    asked = []
    for value in values:
        with contextlib.suppress(RecordError):  # as whoever takes it is told
            asked.append(record.decode(value))
    opener = await codec.opener((each.tenant, each.input) for each in asked)
    return RecordPayloads(opener, await codec.sealers({each.tenant for each in asked if not is_sealed(each.input)}))
