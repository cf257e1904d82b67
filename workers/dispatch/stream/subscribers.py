"""The subscribers to this worker, found by turn and by session."""

import uuid
from collections.abc import Iterator

from argosy import telemetry
from argosy.workers.dispatch.stream.connection import Subscriber
from argosy.workers.dispatch.turn import Turn


class Subscribers:
    """All subscribers to this process.

    count: how many there are. lineage: that of the last flush, which goes with whatever a subscriber is sent.
    """

    def __init__(self) -> None:
        self.count = 0
        self.lineage = 0
        self._by_turn: dict[uuid.UUID, dict[Subscriber, None]] = {}
        self._by_session: dict[uuid.UUID, dict[Subscriber, None]] = {}

    def add(self, each: Subscriber) -> None:
        self._index(each).setdefault(each.target, {})[each] = None
        each.connection.subscribers[each.id] = each
        self.count += 1
        telemetry.WATCH_SUBSCRIPTIONS.set(self.count)

    def remove(self, each: Subscriber) -> None:
        index = self._index(each)
        found = index.get(each.target)
        if found is None or each not in found:
            return
        del found[each]
        if not found:
            del index[each.target]
        del each.connection.subscribers[each.id]
        each.connection.held_back.discard(each)
        self.count -= 1
        telemetry.WATCH_SUBSCRIPTIONS.set(self.count)

    def has(self, turn_id: uuid.UUID, session_id: uuid.UUID | None) -> bool:
        return turn_id in self._by_turn or session_id in self._by_session

    def has_follower(self, turn: Turn) -> bool:
        """Whether any subscriber of the turn's tenant wants more of it than its end."""
        if not self.count:
            return False
        subscribers = self.of(turn.turn_id, turn.session_id)
        return any(not each.is_ending_only and each.tenant == turn.tenant for each in subscribers)

    def of(self, turn_id: uuid.UUID, session_id: uuid.UUID | None) -> list[Subscriber]:
        """Return the subscribers to the turn, and those to its session."""
        found = [*self._by_turn.get(turn_id, ())]
        if session_id is not None and session_id in self._by_session:
            found += self._by_session[session_id]
        return found

    def of_turn(self, turn: Turn) -> list[Subscriber]:
        """Return the subscribers that are told of this turn: those of its tenant and of its claim; of a turn that was
        handed over, those that have lost their claim, too.
        """
        return [
            each
            for each in self.of(turn.turn_id, turn.session_id)
            if each.tenant == turn.tenant and (each.owned is turn.owned or (each.owned is None and turn.owned.is_void))
        ]

    def all(self) -> Iterator[Subscriber]:
        """Iterate over all subscribers, in no order. They may be added and removed meanwhile."""
        for index in (self._by_turn, self._by_session):
            for found in list(index.values()):
                yield from list(found)

    def _index(self, each: Subscriber) -> dict[uuid.UUID, dict[Subscriber, None]]:
        return self._by_session if each.is_session else self._by_turn
