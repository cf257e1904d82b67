"""Ids of a stream's messages: `LINEAGE-SEQ` of a durable event, `LINEAGE-SEQ.ATTEMPT.N` of a frame that follows it.

In a session's stream the turn's place comes first, sealed (place_cipher.py): `PLACE:LINEAGE-SEQ`. Pure.
"""

import re
from typing import Final, NamedTuple

from argosy.gateway.stream.place_cipher import PlaceCipher

_ID = re.compile(
    r"(?:([0-9]{1,19}|p[A-Za-z0-9_-]{22}):)?([0-9]{1,19})-([0-9]{1,10})(?:\.([0-9]{1,10})\.([0-9]{1,16}))?"
)
_NUMBER = re.compile(r"[0-9]{1,10}")
_BIGINT_MAX: Final = 2**63 - 1
_INTEGER_MAX: Final = 2**31 - 1

# The lineage in the id of a client that names only a seq: the event may have any lineage.
ANY_LINEAGE: Final = _BIGINT_MAX


class EventId(NamedTuple):
    """The last event that a client has, and the last frame after it. n: number of that frame in this attempt; 0: none.

    place: of the turn in its session; 0 in the stream of a turn.
    """

    lineage: int
    seq: int
    attempt: int = 0
    n: int = 0
    place: int = 0

    def text(self, sealed_place: str) -> str:
        """Return the id as clients see it. sealed_place: the place as clients see it; empty in the stream of a turn."""
        place = f"{sealed_place}:" if sealed_place else ""
        frame = f".{self.attempt}.{self.n}" if self.n else ""
        return f"{place}{self.lineage}-{self.seq}{frame}"


BEGIN: Final = EventId(ANY_LINEAGE, 0)


def parse(text: str, cipher: PlaceCipher | None = None) -> EventId:
    """Read an id that a stream gave out. cipher: of the session, if it was a session's stream. Raises ValueError."""
    found = _ID.fullmatch(text)
    if found is None or (found[1] is None) != (cipher is None):
        shape = "LINEAGE-SEQ" if cipher is None else "PLACE:LINEAGE-SEQ"
        raise ValueError(f"an id of this stream looks like {shape} or {shape}.ATTEMPT.N")
    place = 0 if cipher is None else cipher.unseal(found[1])
    lineage, seq, attempt, n = (int(each or 0) for each in found.groups()[1:])
    if max(place, lineage) > _BIGINT_MAX or max(seq, attempt) > _INTEGER_MAX:
        raise ValueError("a number in the id is larger than any that was given out")
    return EventId(lineage, seq, attempt, n, place)


def parse_from(text: str) -> EventId:
    """Read an id of a turn's stream, or only the seq of the last event seen (0: none). Raises ValueError."""
    if _NUMBER.fullmatch(text):
        return parse(f"{ANY_LINEAGE}-{text}")
    return parse(text)
