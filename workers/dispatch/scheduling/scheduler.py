"""Decide which turn starts next. Pure: no I/O, no clock; it is told what happened and answers what to do.

Invariants:
- A session has at most one head that is ready, starting or running (I2). The next turn is looked at only after the
  head's end is durable.
- What memory does not have waits in Postgres: memory has nothing behind a suspended or parked head, and at most
  `look_ahead` turns behind one that is ready or runs. `is_complete`: memory has all turns of the session; otherwise a
  session whose queue is empty is paged in.
- Tenants take turns (round robin, one turn each). Within a tenant cancelled turns come first, then priority decides,
  then age (I10).
"""

import heapq
import math
import uuid
from collections import deque
from itertools import takewhile

from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.reads import Read, Reads
from argosy.workers.dispatch.turn import Turn


class Session:
    """A session of which memory has turns, or is about to read some.

    held: its head, which is ready, starting or running. is_ready: its head waits to be picked. queue: the turns behind
    the head. last_place: the highest place that memory has had of it. is_complete: memory has all of its turns.
    is_paging: its turns are to be read, or are being read.
    """

    __slots__ = ("bucket", "held", "is_complete", "is_paging", "is_ready", "last_place", "owned", "queue", "session_id")

    def __init__(self, session_id: uuid.UUID, bucket: int, owned: Owned) -> None:
        self.session_id = session_id
        self.bucket = bucket
        self.owned = owned
        self.held: Turn | None = None
        self.queue: deque[Turn] = deque()
        self.is_complete = True
        self.is_paging = False
        self.is_ready = False
        self.last_place = 0


class Scheduler:
    """The sessions in a worker's memory. live: every turn in memory, by its id. reads: told of what leaves or grows."""

    def __init__(self, look_ahead_turns: int) -> None:
        self._look_ahead = look_ahead_turns
        self.sessions: dict[uuid.UUID, Session] = {}
        self.live: dict[uuid.UUID, Turn] = {}
        self.reads = Reads()
        self._ready: dict[str, list[tuple[float, int, uuid.UUID]]] = {}
        self._round: deque[str] = deque()
        self._ready_count = 0
        self._to_page: dict[uuid.UUID, Session] = {}

    @property
    def ready_count(self) -> int:
        return self._ready_count

    @property
    def loaded_size_bytes(self) -> int:
        """The size of the histories of all turns in memory."""
        return sum(turn.history_bytes for turn in self.live.values())

    def head_of(self, session_id: uuid.UUID) -> Turn | None:
        return None if (session := self.sessions.get(session_id)) is None else session.held

    def accepted(self, turn: Turn, is_head: bool, read: Read) -> None:
        """Take in a new turn that is in Postgres now. is_head: no turn of its session stood before it in the accept's
        snapshot. read: what happened here while the accept was under way.
        """
        if turn.turn_id in read.taken:
            turn.require_load()  # a signal was buffered for it before the accept's answer came
        session = self.sessions.get(turn.session_id)
        if turn.turn_id in self.live or (session is not None and turn.turn_id in read.left):
            # Another read was faster, or a row of its inbox is ending it, or has: what is behind it must not pass it.
            # (A session that memory lacks is read after that end.)
            if session is not None:
                self.more(turn.session_id, turn.bucket, turn.owned)
        elif session is None:
            if is_head and turn.turn_id not in read.left:
                self._hold(self._session(turn), turn)
            elif turn.session_id in read.left:
                # It, or turns before it, left memory since the accept was sent: only Postgres knows how they stand.
                self._page(self._session(turn))
        elif session.is_paging:
            self.reads.grew(session.session_id)
        elif session.is_complete and turn.place > session.last_place:
            if session.held is None and not session.queue:
                self._hold(session, turn)
            elif len(session.queue) < self._look_ahead:
                self._append(session, turn)
            else:
                session.is_complete = False

    # Paging

    def more(self, session_id: uuid.UUID, bucket: int, owned: Owned) -> None:
        """Note that Postgres may have a turn of this session that memory does not (a delayed turn got its place)."""
        if owned.is_void or owned.is_lent:
            return  # the partition was lost while a flush was under way; or it is borrowed: the session is its owner's
        session = self.sessions.get(session_id)
        if session is None:
            session = self.sessions[session_id] = Session(session_id, bucket, owned)
        session.is_complete = False
        if session.is_paging:
            self.reads.grew(session_id)
        elif session.held is None and not session.queue:
            self._page(session)

    def take_to_page(self, limit: int) -> list[Session]:
        """Take at most `limit` of the sessions that are to be paged in."""
        taken = list(self._to_page.values())[:limit]
        for session in taken:
            del self._to_page[session.session_id]
        return taken

    @property
    def has_to_page(self) -> bool:
        return bool(self._to_page)

    def paged(self, session: Session, turns: list[Turn], *, is_all: bool, is_held: bool, is_stale: bool) -> None:
        """Take in the next turns of a session, as Postgres has them, in order. is_all: there are no more of them.
        is_held: nothing of the session may start, because its head is suspended, parked, lent or held. is_stale: the
        read failed, or something happened meanwhile that it may lack, so the session is read again.

        A turn among them that memory has already is being ended by a row of its inbox. Those behind it are left in
        Postgres until that end is durable (`removed`).
        """
        session.is_paging = False
        if self.sessions.get(session.session_id) is not session:
            return
        if is_stale:
            self._page(session)
            return
        free = list(takewhile(lambda turn: turn.turn_id not in self.live, turns))
        if is_held or not free:
            self._forget(session)
            return
        session.is_complete = is_all and len(free) == len(turns)
        for turn in free:
            self._append(session, turn)
        self._next(session)

    # Heads

    def found(self, turn: Turn) -> bool:
        """Take in a head that was read from Postgres: after a claim, or because it goes on or was woken.

        False when memory is busy with its session: try again later.
        """
        session = self.sessions.get(turn.session_id)
        if session is not None and (session.held is not None or session.queue or session.is_paging):
            return False
        session = session or self._session(turn)
        session.is_complete = False
        self._hold(session, turn)
        return True

    def is_ready(self, turn: Turn) -> bool:
        """Whether a turn waits to be picked, as its session's head."""
        return self.head_of(turn.session_id) is turn and self.sessions[turn.session_id].is_ready

    def hurry(self, turn: Turn) -> None:
        """Let a cancelled turn that waits to be picked go before all others of its tenant."""
        if self.is_ready(turn):
            self._enter(turn, -math.inf)

    def pick(self) -> Turn | None:
        """Return the next turn to start, or None. It stays its session's head until `ended`, `left` or `removed`."""
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
        """Remove a turn that ran here and whose end is durable: the next turn of its session may start."""
        self._leave(turn)
        session = self.sessions.get(turn.session_id)
        if session is None or session.held is not turn:
            return
        session.held = None
        self._next(session)

    def left(self, turn: Turn) -> None:
        """Remove a head that does not go on here: it was suspended or parked, lent or borrowed, or is to be read again.

        Its session leaves memory, and the turns behind it wait in Postgres.
        """
        self._leave(turn)
        session = self.sessions.get(turn.session_id)
        if session is None or session.held is not turn:
            return
        session.held = None
        self._forget(session)

    def removed(self, turn: Turn) -> None:
        """Remove a turn that ended without running here (cancelled, expired). The turns behind it may be free now."""
        self._leave(turn)
        if (session := self.sessions.get(turn.session_id)) is None:
            self.more(turn.session_id, turn.bucket, turn.owned)
            return
        if session.held is turn:
            self._unready(session)
            session.held = None
            self._next(session)
        elif turn in session.queue:
            session.queue.remove(turn)
            self._next(session)

    def void(self, owned: Owned) -> list[Turn]:
        """Remove everything of a partition that was lost. Returns the turns of it that were in memory."""
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
        self.reads.left(turn.turn_id, turn.session_id)

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
            if not turn.has_ended:  # otherwise it stays until that is durable, so that no read brings it in again
                self._leave(turn)
        session.queue.clear()
        self.sessions.pop(session.session_id, None)
        self.reads.let_go(session.session_id)

    def _unready(self, session: Session) -> None:
        if session.is_ready:
            session.is_ready = False
            self._ready_count -= 1

    def _drop_tenant(self, tenant: str) -> None:
        del self._ready[tenant]
        self._round.remove(tenant)
