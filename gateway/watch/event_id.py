"""Ids of what a stream tells: `LINEAGE-SEQ` of a durable event, `LINEAGE-SEQ.ATTEMPT.N` of a frame that came after it.

In a session's stream the turn's place comes first: `PLACE:LINEAGE-SEQ`. Pure.
"""

import re
from typing import Final, NamedTuple

_ID = re.compile(r"(?:([0-9]{1,19}):)?([0-9]{1,19})-([0-9]{1,10})(?:\.([0-9]{1,10})\.([0-9]{1,16}))?")
_NUMBER = re.compile(r"[0-9]{1,10}")
_BIGINT_MAX: Final = 2**63 - 1
_INTEGER_MAX: Final = 2**31 - 1

# Of one who only names a number: whatever wrote the event.
ANY_LINEAGE: Final = _BIGINT_MAX


class EventId(NamedTuple):
    """The last of what a client has. n: of the last frame after it, in this attempt; 0: none. place: 0 in the stream of
    a turn.
    """

    lineage: int
    seq: int
    attempt: int = 0
    n: int = 0
    place: int = 0

    @property
    def text(self) -> str:
        place = f"{self.place}:" if self.place else ""
        frame = f".{self.attempt}.{self.n}" if self.n else ""
        return f"{place}{self.lineage}-{self.seq}{frame}"


BEGIN: Final = EventId(ANY_LINEAGE, 0)


def parse(text: str, *, has_place: bool) -> EventId:
    """An id as a stream gave it out. has_place: it is of a session's. Raises ValueError."""
    found = _ID.fullmatch(text)
    if found is None or (found[1] is not None) != has_place:
        shape = "PLACE:LINEAGE-SEQ" if has_place else "LINEAGE-SEQ"
        raise ValueError(f"an id of this stream looks like {shape} or {shape}.ATTEMPT.N")
    place, lineage, seq, attempt, n = (int(each or 0) for each in found.groups())
    if max(place, lineage) > _BIGINT_MAX or max(seq, attempt) > _INTEGER_MAX:
        raise ValueError("a number in the id is larger than any that was given out")
    return EventId(lineage, seq, attempt, n, place)


def parse_from(text: str) -> EventId:
    """An id of a turn's stream, or only the number of the last event seen (0: everything). Raises ValueError."""
    if _NUMBER.fullmatch(text):
        return parse(f"{ANY_LINEAGE}-{text}", has_place=False)
    return parse(text, has_place=False)
