"""The flat parallel arrays for one call of the SQL function `flush`, in the order of its parameters."""

import uuid
from typing import Any, Final

from argosy.store.columns import columns
from argosy.store.parameters import EVENTS, MOVES, PLACEMENTS, ROWS, TURNS
from argosy.store.queries import load_queries
from argosy.workers.dispatch.flush.flush_entry import Entry
from argosy.workers.dispatch.owned import Owned

STATEMENT: Final = load_queries("flush")["flush"]

_ITS_OWN: Final = (None, None, None, None)  # in place of the address of a row of the writing turn itself
_LENT: Final = -1  # in place of the partition of a borrowed turn, whose fence is its own row


class FlushArrays:
    """Collects the arguments of one flush. Each partition stands in the call once, with the epoch of its claim."""

    __slots__ = ("_events", "_inbox", "_lane", "_moves", "_owned", "_placements", "_turns")

    def __init__(self, lane: str) -> None:
        self._lane = lane
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

    def add(self, entry: Entry) -> None:
        turn = entry.turn
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
                entry.result,
                entry.error,
                entry.waits,
                entry.reason,
                entry.trial,
            )
        )
        index = len(self._turns)
        for event in entry.events:
            self._events.append((index, *event))
        for row in entry.inbox.values():
            to = row.to or _ITS_OWN
            self._inbox.append(
                (index, row.inbox_id, *to, row.kind, row.name, row.correlation, row.request_id, row.payload, row.due_s)
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
