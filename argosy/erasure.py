"""What can be erased, in which stages, what it waits for, and how records say whose they are. Pure."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from argosy.ids import digest
from argosy.ingest.job import LANE as INGEST_LANE


class ErasureKind(StrEnum):
    """What is erased. Its target is a session's name, nothing, a graph's name, or a turn's id."""

    SESSION = "session"
    TENANT = "tenant"
    GRAPH = "graph"
    TURN = "turn"


ROLE: Final = "erase"  # of maintenance, which does them
_DISPATCH: Final = "lane {}, by a dispatch worker of it (`argosy worker dispatch`)"
_READERS: Final = {INGEST_LANE: "uploads, by an ingest worker (`argosy worker ingest`)"}  # no dispatch lane
WITH_SESSIONS: Final = frozenset({ErasureKind.SESSION, ErasureKind.TENANT})  # sessions go as a whole
# Graphs go with what is ingested into them.
WITH_JOBS: Final = frozenset({ErasureKind.SESSION, ErasureKind.GRAPH, ErasureKind.TENANT})


class Stage(StrEnum):
    """How far an erasure is. Stages follow each other in this order; each passes over what its kind has none of."""

    READING = "reading"  # until the log was read up to when it was asked for: what was accepted then is what goes
    ENDING = "ending"  # turns that are open are cancelled, and have to end
    GRAPHS = "graphs"  # graphs that go as a whole are dropped
    TURNS = "turns"  # from other graphs goes what the turns wrote last; then the turns go themselves
    JOBS = "jobs"
    STRAYS = "strays"  # what belongs to no turn
    LOG = "log"  # records in Postgres's own log
    DONE = "done"


FOLLOWING: Final = dict(zip(Stage, list(Stage)[1:], strict=False))


class Needle(NamedTuple):
    """What stands in records of whom is erased, and at which places (from 1)."""

    value: bytes
    places: tuple[int, ...]


_IN_TURNS: Final = (21, 23)  # behind version, length of the list and turn id: argosy/record.py
_IN_LINES: Final = (25, 27, 29)  # and a kind: argosy/ingest/record.py
_ID: Final = (5, 7)

_pack: Final = msgspec.msgpack.Encoder().encode


def needle_of(kind: ErasureKind, tenant: str, lane: str, target: str) -> Needle:
    """Return how to know records of what is erased: they begin with whose they are."""
    match kind:
        case ErasureKind.TENANT:
            return Needle(_pack(tenant), _IN_TURNS + _IN_LINES)
        case ErasureKind.SESSION:
            return Needle(_pack(tenant) + _pack(lane) + _pack(target), _IN_TURNS)
        case ErasureKind.GRAPH:
            return Needle(_pack(tenant) + _pack(target), _IN_LINES)
        case ErasureKind.TURN:
            return Needle(uuid.UUID(target).bytes, _ID)


def unread_words(unread: Iterable[tuple[str, datetime | None]]) -> str:
    """Return what an erasure waits for while lanes are not read up to when it was asked for: the same words, as long as
    nothing is read.
    """
    lanes = [f"{_READERS.get(lane, _DISPATCH.format(lane))}, {_through(at)}" for lane, at in unread]
    return f"records that came before are still to be read: {'; '.join(lanes)}"


def late_words(stage: Stage, waits_for: str, changed_at: datetime, late_s: float) -> str:
    """Return what an erasure waits for of which nothing has changed for longer than ERASURE_LATE_S."""
    who = "nobody has read there" if stage is Stage.READING else "nothing of that has changed"
    return f"{waits_for}; {who} since {changed_at:%Y-%m-%d %H:%M:%S} UTC, for longer than ERASURE_LATE_S ({late_s:g} s)"


def _through(at: datetime | None) -> str:
    return "never read" if at is None else f"read up to {at:%Y-%m-%d %H:%M:%S} UTC"


def erasure_id_of(tenant: str, key: str) -> uuid.UUID:
    """Return the id of the erasure that a request with this key asks for: the same at every gateway."""
    return uuid.UUID(bytes=digest("erasure", tenant, key, size_bytes=16), version=4)


def target_digest(kind: ErasureKind, lane: str, target: str) -> bytes:
    """Return what tells whether two requests with one key ask for the same."""
    return digest("erased", kind, lane, target, size_bytes=16)
