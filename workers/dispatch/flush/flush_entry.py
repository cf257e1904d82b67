"""What one flush writes of each turn, and the arguments of the SQL function `flush` that say so."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog

from argosy import telemetry
from argosy.seal.codec import Sealer
from argosy.store.columns import columns
from argosy.store.parameters import EVENTS, MOVES, PLACEMENTS, ROWS, TURNS
from argosy.store.queries import load_queries
from argosy.turn.events import BEGINNINGS, Event
from argosy.turn.status import Status
from argosy.workers.dispatch.flush.sealed_entry import UNSEALED, EntrySealer
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workers.dispatch.writes import EventWrite, size_bytes_of

log = structlog.get_logger()

STATEMENT: Final = load_queries("flush")["flush"]

_WORDS_MAX: Final = 500  # of Postgres's message, which may quote what was to be written
_NONE: Final[dict[uuid.UUID, Any]] = {}  # never added to
_ITS_OWN: Final = (None, None, None, None)  # in place of the address of a row of the writing turn itself
_LENT: Final = -1  # in place of the partition of a borrowed turn, whose fence is its own row


class FlushEntry:
    """All that a turn has to write: its row as last written (`old_*`), its row now, new events, inbox rows and moves.

    Creating an entry empties the turn's lists and counts the turn as written (`turn.written_*`).
    """

    __slots__ = (
        "attempt",
        "consumed",
        "crashes",
        "durable",
        "error",
        "events",
        "has_rest",
        "inbox",
        "is_poison",
        "moves",
        "old_attempt",
        "old_seq",
        "old_status",
        "old_waits",
        "reason",
        "result",
        "seq",
        "size_bytes",
        "status",
        "trial",
        "turn",
        "version",
        "waits",
    )

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.old_status, self.old_attempt, self.old_seq = turn.written_status, turn.written_attempt, turn.written_seq
        self.old_waits = turn.written_waits
        self.status, self.attempt, self.seq = turn.status, turn.attempt, turn.seq
        self.crashes, self.trial, self.version = turn.crashes, turn.trial, turn.version
        self.result, self.error, self.waits, self.reason = turn.result, turn.error, turn.waits, turn.reason
        self.size_bytes = turn.pending_bytes if turn.result is None else turn.pending_bytes + len(turn.result)
        self.events = turn.events
        # Most turns have none of these: they share one empty dict instead of making new ones.
        self.inbox = turn.inbox or _NONE
        self.moves = turn.moves or _NONE
        self.consumed = turn.consumed or _NONE
        self.durable = turn.durable
        turn.sent()
        self.is_poison = False
        self.has_rest = False

    def split(self, size_bytes: int) -> "FlushEntry":
        """Take off the first events, at least one and never all, up to size_bytes; return them as an entry that must be
        written before this one.

        Every event is a fact of its own, so events may be written by several flushes, in order. What must hold: a
        signal is consumed by the flush that writes the event with its payload; a timer is written no later than the
        start of its wait; a row for another turn is written with the event that names it, for an attempt that does not
        find the event writes both anew; the turn's new state is written with the last of its events.
        """
        count = events_within(self.events, size_bytes)
        first: FlushEntry = object.__new__(FlushEntry)
        first.turn = self.turn
        first.events, self.events = self.events[:count], self.events[count:]
        last = first.events[-1]
        first.old_status, first.old_attempt, first.old_seq = self.old_status, self.old_attempt, self.old_seq
        begins = any(event.type in BEGINNINGS for event in first.events)
        first.status = Status.RUNNING if begins else self.old_status
        first.attempt, first.seq = last.attempt, last.seq
        first.crashes, first.trial, first.version = self.crashes, self.trial, self.version
        first.result = first.error = first.reason = None
        first.waits = first.old_waits = self.old_waits
        first.inbox = {each: row for each, row in self.inbox.items() if row.seq <= first.seq}
        self.inbox = {each: row for each, row in self.inbox.items() if row.seq > first.seq}
        first.consumed = {}
        first.moves = {each: to for each, to in self.moves.items() if self.consumed.get(each, self.seq) <= first.seq}
        self.moves = {each: to for each, to in self.moves.items() if each not in first.moves}
        first.durable = None
        first.size_bytes = size_bytes_of(first.events, first.inbox)
        self.size_bytes -= first.size_bytes
        self.old_status, self.old_attempt, self.old_seq = first.status, first.attempt, first.seq
        first.is_poison, first.has_rest = False, True
        return first

    def give_back(self) -> None:
        """Give what is left after `split` back to the turn, which writes it with its next entry."""
        written = self.old_status, self.old_attempt, self.old_seq, self.old_waits
        self.turn.take_back(self.events, self.inbox, self.moves, self.consumed, self.durable, written)

    def poisoned(self, message: str) -> "FlushEntry":
        """Make this entry park its turn, without what Postgres refused; return it. The turn's code is stopped."""
        log.error(telemetry.FLUSH_POISONED, turn_id=str(self.turn.turn_id), error=message)
        telemetry.PARKED.labels(reason="unwritable").inc()
        self.is_poison, self.has_rest = True, False
        words = f"Postgres refuses what the turn tried to write ({message[:_WORDS_MAX]}). What was recorded before "
        detail = {"reason": "unwritable", "message": f"{words}stands: resume it to run the rest again, or cancel it"}
        self.result = self.waits = None
        self.error = msgspec.json.encode(detail)
        self.status, self.reason = Status.PARKED, "unwritable"
        self.attempt, self.seq = max(self.attempt, 1), self.old_seq + 1
        self.events = [EventWrite(self.seq, self.attempt, Event.TURN_PARKED, "", self.error)]
        self.inbox = {}
        self.moves = {}
        self.size_bytes = len(self.error)
        self.turn.poison(self.attempt, self.seq, self.reason, self.error)
        self.turn.break_off(Stop.DROP)
        return self


class FlushArrays:
    """Collects the arguments of one flush: flat parallel arrays, in the order of the function's parameters.

    Each partition stands in the call once, with the epoch of its claim. sealers: who seals for each tenant, if anybody.
    """

    __slots__ = ("_events", "_inbox", "_lane", "_moves", "_owned", "_placements", "_sealers", "_turns")

    def __init__(self, lane: str, sealers: Mapping[str, Sealer] = UNSEALED) -> None:
        self._lane = lane
        self._sealers = sealers
        self._owned: dict[int, Owned] = {}
        self._turns: list[tuple[Any, ...]] = []
        self._events: list[tuple[Any, ...]] = []
        self._inbox: list[tuple[Any, ...]] = []
        # By inbox row, which must not stand in one UPDATE twice. The last move of a turn wins, before any loose one.
        self._moves: dict[uuid.UUID, tuple[Any, ...]] = {}
        self._placements: list[tuple[Any, ...]] = []

    def owned(self) -> list[Owned]:
        """Return the partitions of the call, in the order of `held` in its answer."""
        return list(self._owned.values())

    def add(self, entry: FlushEntry) -> None:
        turn = entry.turn
        sealed = EntrySealer(turn, self._sealers.get(turn.tenant))
        if turn.owned.is_lent:
            partition = _LENT
        else:
            partition = turn.owned.partition
            self._owned[partition] = turn.owned
        self._turns.append(
            (
                partition,
                turn.turn_id,
                entry.old_status,
                entry.old_attempt,
                entry.old_seq,
                entry.status,
                entry.attempt,
                entry.seq,
                entry.crashes,
                entry.version,
                sealed.result(entry.result),
                sealed.error(entry.error),
                entry.waits,
                entry.reason,
                entry.trial,
            )
        )
        index = len(self._turns)
        for event in entry.events:
            self._events.append((index, *sealed.event(event)))
        for row in entry.inbox.values():
            to = row.to or _ITS_OWN
            payload = sealed.payload(row)
            self._inbox.append(
                (index, row.inbox_id, *to, row.kind, row.name, row.correlation, row.request_id, payload, row.due_s)
            )
        for inbox_id, to in entry.moves.items():
            self._moves[inbox_id] = (index, partition, inbox_id, to)

    def add_move(self, owned: Owned, inbox_id: uuid.UUID, to: str) -> None:
        self._owned[owned.partition] = owned
        self._moves.setdefault(inbox_id, (0, owned.partition, inbox_id, to))

    def add_placement(self, owned: Owned, turn_id: uuid.UUID) -> None:
        self._owned[owned.partition] = owned
        self._placements.append((owned.partition, turn_id))

    def arguments(self) -> list[Any]:
        """Return all arguments of the SQL function after the worker and the number of the call."""
        owned = self._owned.values()
        return [
            self._lane,
            [each.partition for each in owned],
            [each.epoch for each in owned],
            *columns(self._turns, TURNS),
            *columns(self._events, EVENTS),
            *columns(self._inbox, ROWS),
            *columns(list(self._moves.values()), MOVES),
            *columns(self._placements, PLACEMENTS),
        ]


def events_within(events: list[EventWrite], size_bytes: int) -> int:
    """Return how many of the first events fit into size_bytes: at least one, and never all."""
    room = size_bytes
    for count, event in enumerate(events[:-1]):
        room -= len(event.data)
        if room < 0:
            return max(count, 1)
    return len(events) - 1
