"""What a turn has to write, as it is written: with its payloads sealed (argosy/seal)."""

from collections.abc import Iterable, Mapping
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import UnavailableError
from argosy.seal.codec import Codec, Sealer
from argosy.seal.places import error_of, event_of, result_of
from argosy.seal.records import sealed_record
from argosy.turn.events import WITHOUT_PAYLOAD
from argosy.turn.inbox import START
from argosy.workers.dispatch.turn import Turn
from argosy.workers.dispatch.writes import EventWrite, InboxWrite

_AGAIN_S: Final = 0.5
_EMPTY: Final = b"{}"
UNSEALED: Final[Mapping[str, Sealer]] = {}

log = telemetry.logger()


async def sealers_of(codec: Codec, turns: Iterable[Turn], clock: Clock) -> Mapping[str, Sealer]:
    """Return who seals for the tenants of these turns. Waits while Postgres or the KMS is away, as a flush does."""
    if not codec.is_on:
        return UNSEALED
    tenants = {turn.tenant for turn in turns}
    while True:
        try:
            return await codec.sealers(tenants)
        except UnavailableError as error:
            log.warning(telemetry.KEYS_STALE, tenants=len(tenants), reason=str(error))
        await clock.sleep(_AGAIN_S)


class EntrySealer:
    """Seals what one turn writes. sealer: None: as it is."""

    __slots__ = ("_sealer", "_turn")

    def __init__(self, turn: Turn, sealer: Sealer | None) -> None:
        self._turn = turn
        self._sealer = sealer

    def result(self, result: bytes | None) -> bytes | None:
        if self._sealer is None or result is None:
            return result
        return self._sealer.seal(result, result_of(self._turn.tenant, self._turn.turn_id))

    def error(self, error: bytes | None) -> bytes | None:
        if self._sealer is None or error is None:
            return error
        return self._sealer.seal(error, error_of(self._turn.tenant, self._turn.turn_id))

    def event(self, event: EventWrite) -> EventWrite:
        if self._sealer is None or event.data == _EMPTY or event.type in WITHOUT_PAYLOAD:
            return event
        place = event_of(self._turn.tenant, self._turn.turn_id, event.seq)
        return event._replace(data=self._sealer.seal(event.data, place))

    def payload(self, row: InboxWrite) -> bytes | None:
        """Return the payload of a new inbox row. Of what turns write, only the start of another one says anything."""
        if self._sealer is None or row.kind != START or row.payload is None:
            return row.payload
        return sealed_record(row.payload, self._sealer)
