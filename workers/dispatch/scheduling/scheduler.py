"""Which turn starts next. Pure: no I/O, no clock; it is told what happened and answers what to do.

Invariants:
- A session has at most one head that is ready, starting or running (I2); the next is looked at only after its
  end is durable.
- What memory does not hold waits in Postgres: behind a suspended or parked head nothing is held at all, behind one that
  runs at most `look_ahead` turns. `is_complete`: memory holds all there is; otherwise an empty queue is paged in.
- Tenants take turns (deficit round robin, every turn costs one); within a tenant who is cancelled, then priority, then
  age (I10).
"""

import heapq
import math
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from argosy.workers.dispatch.scheduling.session import Session
from argosy.workers.dispatch.turn import Owned, Turn


class Scheduler:
    """The owner's memory of sessions. `live` finds a turn in memory by its id."""

    def __init__(self, look_ahead_turns: int) -> None:
        self._look_ahead = look_ahead_turns
        self.sessions: dict[uuid.UUID, Session] = {}
        self.live: dict[uuid.UUID, Turn] = {}
        self._ready: dict[str, list[tuple[float, int, uuid.UUID]]] = {}
        self._round: deque[str] = deque()
        self._ready_count = 0
        self._to_page: dict[uuid.UUID, Session] = {}
        # Sessions of the accept in flight; those that left memory meanwhile must be looked at again when it answers.
        self._accepting: set[uuid.UUID] = set()
        self._left: set[uuid.UUID] = set()
        self._watches: list[set[uuid.UUID]] = []

    @property
    def ready_count(self) -> int:
        return self._ready_count

    def head_of(self, session_id: uuid.UUID) -> Turn | None:
        return None if (session := self.sessions.get(session_id)) is None else session.held

    @contextmanager
    def watch(self) -> Iterator[set[uuid.UUID]]:
        """Turns and sessions that leave memory meanwhile: what a read says of them may be older than that."""
        departed: set[uuid.UUID] = set()
        self._watches.append(departed)
        try:
            yield departed
        finally:
            self._watches = [each for each in self._watches if each is not departed]

    # An accept

    def accept_begins(self, session_ids: Iterable[uuid.UUID]) -> None:
        self._accepting = set(session_ids)
        self._left.clear()

    def accepted(self, turn: Turn, is_head: bool) -> None:
        """A new turn is in Postgres. is_head: nothing of its session stood before it in the accept's snapshot."""
        session = self.sessions.get(turn.session_id)
        if session is None:
            if is_head:
                self._hold(self._session(turn), turn)
            elif turn.session_id in self._left:
                # What stood before it in the snapshot has left memory since: only Postgres knows whether it ended.
                self._page(self._session(turn))
        elif session.is_paging:
            session.page_again = True
        elif session.is_complete and turn.place > session.last_place:
            if session.held is None and not session.queue:
                self._hold(session, turn)
            elif len(session.queue) < self._look_ahead:
                self._append(session, turn)
            else:
                session.is_complete = False

    def accept_ends(self) -> None:
        self._accepting = set()
        self._left.clear()

    # Paging

    def more(self, session_id: uuid.UUID, bucket: int, owned: Owned) -> None:
        """Postgres may hold a turn of this session that memory does not know (a delayed one got its place)."""
        if owned.is_void or owned.is_lent:
            return  # the flush that says so was under way when the partition was lost; or it is its owner's affair
        session = self.sessions.get(session_id)
        if session is None:
            session = self.sessions[session_id] = Session(session_id, bucket, owned)
        session.is_complete = False
        if session.is_paging:
            session.page_again = True
        elif session.held is None and not session.queue:
            self._page(session)

    def take_to_page(self, limit: int) -> list[Session]:
        """Sessions to be paged in now."""
        taken = list(self._to_page.values())[:limit]
        for session in taken:
            del self._to_page[session.session_id]
        return taken

    @property
    def has_to_page(self) -> bool:
        return bool(self._to_page)

    def paged(self, session: Session, turns: list[Turn], *, is_all: bool, is_held: bool) -> None:
        """What Postgres holds of a session, in order. is_all: there is no more; is_held: a suspended, parked or
        otherwise held turn stands before it, so nothing of it may start.
        """
        session.is_paging = False
        if self.sessions.get(session.session_id) is not session:
            return
        if session.page_again:
            session.page_again = False
            self._page(session)
            return
        if is_held or not turns:
            self._forget(session)
            return
        session.is_complete = is_all
        for turn in turns:
            if turn.turn_id not in self.live:
                self._append(session, turn)
        self._next(session)

    # Heads

    def found(self, turn: Turn) -> bool:
        """A head read from Postgres after a claim, or a turn that goes on: queued, running before a crash, or woken.
        False when memory is busy with its session: look again later.
        """
        session = self.sessions.get(turn.session_id)
        if session is not None and (session.held is not None or session.queue or session.is_paging):
            return False
        session = session or self._session(turn)
        session.is_complete = False
        self._hold(session, turn)
        return True

    def is_ready(self, turn: Turn) -> bool:
        """Whether it waits to be picked, as its session's head."""
        return self.head_of(turn.session_id) is turn and self.sessions[turn.session_id].is_ready

    def hurry(self, turn: Turn) -> None:
        """It is cancelled: if it waits to be picked, the others of its tenant let it go first."""
        if self.is_ready(turn):
            self._enter(turn, -math.inf)

    def pick(self) -> Turn | None:
        """The next turn to start; it is held until `freed`."""
        while self._round:
            tenant = self._round[0]
            heap = self._ready[tenant]
            while heap:
                _, place, session_id = heapq.heappop(heap)
                session = self.sessions.get(session_id)
                # An entry may outlive its session's readiness: it is dropped here, not searched for earlier.
                if session is None or not session.is_ready or session.held is None or session.held.place != place:
                    continue
                session.is_ready = False
                self._ready_count -= 1
                self._round.rotate(-1)
                if not heap:
                    self._drop_tenant(tenant)
                return session.held
            self._drop_tenant(tenant)
        return None

    def ended(self, turn: Turn) -> None:
        """The end of a held turn is durable: the session's next one may start."""
        self._leave(turn)
        session = self.sessions.get(turn.session_id)
        if session is None or session.held is not turn:
            return
        session.held = None
        self._next(session)

    def left(self, turn: Turn) -> None:
        """A held turn was suspended or parked: the session leaves memory, what waits behind it waits in Postgres."""
        self._leave(turn)
        session = self.sessions.get(turn.session_id)
        if session is None or session.held is not turn:
            return
        session.held = None
        self._forget(session)

    def removed(self, turn: Turn) -> None:
        """A turn ended without running here (cancelled, expired): what stands behind it may be free now."""
        self._leave(turn)
        if (session := self.sessions.get(turn.session_id)) is None:
            self.more(turn.session_id, turn.bucket, turn.owned)
            return
        if session.held is turn:
            self._unready(session)
            session.held = None
            self._next(session)
        else:
            try:
                session.queue.remove(turn)
            except ValueError:
                return
            self._next(session)

    def void(self, owned: Owned) -> list[Turn]:
        """A partition was lost: everything of it leaves memory. Returns the turns that were known."""
        gone = [session for session in self.sessions.values() if session.owned is owned]
        turns = [turn for turn in self.live.values() if turn.owned is owned]
        for session in gone:
            self._unready(session)
            del self.sessions[session.session_id]
            self._to_page.pop(session.session_id, None)
        for turn in turns:
            self._leave(turn)
        return turns

    # Inside

    def _leave(self, turn: Turn) -> None:
        self.live.pop(turn.turn_id, None)
        for departed in self._watches:
            departed.update((turn.turn_id, turn.session_id))

    def _session(self, turn: Turn) -> Session:
        session = self.sessions[turn.session_id] = Session(turn.session_id, turn.bucket, turn.owned)
        return session

    def _append(self, session: Session, turn: Turn) -> None:
        session.queue.append(turn)
        session.last_place = max(session.last_place, turn.place)
        self.live[turn.turn_id] = turn

    def _hold(self, session: Session, turn: Turn) -> None:
        session.held = turn
        session.last_place = max(session.last_place, turn.place)
        self.live[turn.turn_id] = turn
        session.is_ready = True
        self._enter(turn, -turn.priority)
        self._ready_count += 1

    def _enter(self, turn: Turn, rank: float) -> None:
        heap = self._ready.get(turn.tenant)
        if heap is None:
            heap = self._ready[turn.tenant] = []
            self._round.append(turn.tenant)
        heapq.heappush(heap, (rank, turn.place, turn.session_id))

    def _next(self, session: Session) -> None:
        if session.held is not None:
            return
        if session.queue:
            self._hold(session, session.queue.popleft())
        elif not session.is_complete:
            self._page(session)
        elif not session.is_paging:
            self._forget(session)

    def _page(self, session: Session) -> None:
        session.is_paging = True
        session.is_complete = False
        self._to_page[session.session_id] = session

    def _forget(self, session: Session) -> None:
        for turn in session.queue:
            self._leave(turn)
        session.queue.clear()
        self.sessions.pop(session.session_id, None)
        if session.session_id in self._accepting:
            self._left.add(session.session_id)

    def _unready(self, session: Session) -> None:
        if session.is_ready:
            session.is_ready = False
            self._ready_count -= 1

    def _drop_tenant(self, tenant: str) -> None:
        del self._ready[tenant]
        self._round.remove(tenant)
