"""A turn's rows in Postgres: as memory has them, as they were written last, and what the next flush writes."""

import asyncio
import math
import uuid
from collections.abc import Sequence, Set

from argosy.turn.inbox import Fate
from argosy.turn.status import Status
from argosy.turn.transitions import advance
from argosy.workers.dispatch.writes import EventWrite, InboxWrite, size_bytes_of


class TurnRow:
    """What a turn has to write; changed by its methods only. `written_*`: as of the last flush that was sent.

    Invariants: status moves along argosy/turn/transitions.py; seq grows by one per event; `events`, `inbox` and `moves`
    go with the next flush, or, when they are too large for one, with the next few.
    """

    __slots__ = (
        "attempt",
        "consumed",
        "counted_bytes",
        "crashes",
        "deferred",
        "due_s",
        "durable",
        "durable_seq",
        "error",
        "events",
        "has_waited",
        "inbox",
        "is_queued_to_flush",
        "is_refused",
        "moves",
        "pending_bytes",
        "reason",
        "result",
        "seen",
        "seq",
        "since_s",
        "status",
        "trial",
        "unwritten",
        "version",
        "waits",
        "written_attempt",
        "written_seq",
        "written_status",
        "written_waits",
    )

    def __init__(self, status: Status, attempt: int, crashes: int, seq: int, version: str | None) -> None:
        self.status = self.written_status = status
        self.attempt = self.written_attempt = attempt
        self.seq = self.written_seq = self.durable_seq = seq
        self.crashes = crashes
        self.trial: bytes | None = None  # what is known of its trial: execution/crash_rule.py
        self.version = version
        self.result: bytes | None = None
        self.error: bytes | None = None
        self.reason: str | None = None
        self.waits: bytes | None = None
        self.written_waits: bytes | None = None
        self.events: list[EventWrite] = []
        self.inbox: dict[uuid.UUID, InboxWrite] = {}
        self.moves: dict[uuid.UUID, Fate] = {}
        # For each signal among the moves the seq of the event that holds it.
        self.consumed: dict[uuid.UUID, int] = {}
        # Inbox rows that met the turn between its last line of code and the commit of its last flush.
        self.deferred: list[uuid.UUID] = []
        # Inbox rows that memory has taken in: a row that is read a second time is recognised by it.
        self.seen: Set[uuid.UUID] = frozenset()
        # The data of `events` in bytes, and how many of them the flusher has counted.
        self.pending_bytes = self.counted_bytes = 0
        self.durable: list[asyncio.Future[None]] | None = None  # one per waiter for the commit of what it wrote so far
        self.is_refused = self.is_queued_to_flush = False
        # Since when it is as Postgres has it (queued, or suspended), and when it fell due, if it was delayed, database
        # time; whether it was ever suspended. For /metrics alone: turn_times.py.
        self.since_s, self.due_s = math.inf, 0.0
        self.has_waited = status is Status.SUSPENDED
        # Events of flushes that Postgres refused: the next owner is told the outcomes of steps among them.
        self.unwritten: Sequence[EventWrite] = ()

    # What it becomes

    def become(self, status: Status) -> None:
        """Change its status, as the table of transitions allows."""
        self.status = advance(self.status, status)

    def begin_attempt(self) -> None:
        """Count one more attempt."""
        self.attempt += 1

    def run_version(self, version: str | None) -> None:
        """Note which version of its workflow runs; one that it has already stays."""
        self.version = self.version or version

    def accuse(self, crashes: int) -> None:
        """Note in how many crashes it was running."""
        self.crashes = crashes

    def put_on_trial(self, trial: bytes | None) -> None:
        """Note for what it is tried; None: for nothing."""
        self.trial = trial

    def progress(self) -> None:
        """Note that it got further: the crashes before do not count any more."""
        self.crashes, self.trial = 0, None

    def pardon(self) -> None:
        """Note that an operator lets it run again."""
        self.reason = self.error = None
        self.crashes = 0

    def wait_for(self, waits: bytes) -> None:
        """Note what it waits for while it is suspended."""
        self.waits = waits

    def succeed(self, result: bytes | None) -> None:
        """Note what its code returned."""
        self.result = result

    def blame(self, error: bytes) -> None:
        """Note what went wrong with it, or with its clean-up."""
        self.error = error

    def park(self, reason: str, error: bytes) -> None:
        """Hold it for an operator."""
        self.become(Status.PARKED)
        self.reason, self.error, self.waits = reason, error, None

    def rest_since(self, since_s: float, due_s: float | None = None) -> None:
        """Note since when it is queued, or suspended, and when it fell due, if it was delayed: database time."""
        self.since_s, self.due_s = since_s, due_s or 0.0

    def note_waited(self) -> None:
        """Note that it was suspended at some time."""
        self.has_waited = True

    # Its inbox rows

    @property
    def rows(self) -> list[uuid.UUID]:
        """The inbox rows that it has in hand, but for those of a flush in flight."""
        return [*self.moves, *self.seen, *self.deferred]

    def see(self, *inbox_ids: uuid.UUID) -> None:
        """Note that memory has taken in these inbox rows."""
        self.seen = self.seen or set()
        self.seen |= set(inbox_ids)

    def add_row(self, row: InboxWrite) -> None:
        """Add a new inbox row, which goes with the next flush."""
        self.inbox[row.inbox_id] = row

    def address_row(self, row: InboxWrite) -> None:
        """Add a row for another turn. It goes with the event that was written last: both are there, or neither is."""
        self.inbox[row.inbox_id] = row._replace(seq=self.seq)
        self.pending_bytes += row.size_bytes

    def move(self, inbox_id: uuid.UUID, to: Fate) -> None:
        """Give an inbox row a new state, with the next flush."""
        self.moves[inbox_id] = to

    def move_if_new(self, inbox_id: uuid.UUID, to: Fate) -> None:
        """Give an inbox row a new state, unless the next flush gives it one already."""
        self.moves.setdefault(inbox_id, to)

    def drop_timer(self, timer_id: uuid.UUID) -> None:
        """Remove a timer whose wait is over or was given up: the next flush deletes it, or does not write it at all."""
        if self.inbox.pop(timer_id, None) is None:
            self.moves[timer_id] = Fate.DELETED

    def defer(self, inbox_id: uuid.UUID) -> None:
        """Let an inbox row be read again when its last flush is durable."""
        self.deferred.append(inbox_id)

    def take_deferred(self) -> list[uuid.UUID]:
        """Remove and return the inbox rows that are to be read again."""
        deferred, self.deferred = self.deferred, []
        return deferred

    # Its flushes

    def enter_queue(self) -> None:
        """Note that it waits in the flusher's queue."""
        self.is_queued_to_flush = True

    def leave_queue(self) -> None:
        """Note that it waits in the flusher's queue no more, and that nothing of it is counted there."""
        self.is_queued_to_flush = False
        self.counted_bytes = 0

    def count(self) -> int:
        """Return how many bytes of events came since the last count."""
        new_bytes = self.pending_bytes - self.counted_bytes
        self.counted_bytes = self.pending_bytes
        return new_bytes

    def await_commit(self, future: asyncio.Future[None]) -> None:
        """Settle the future when all that was written so far is durable, or never will be."""
        self.durable = self.durable or []
        self.durable.append(future)

    def take_waiters(self) -> list[asyncio.Future[None]] | None:
        """Remove and return the futures that wait for its next flush."""
        waiters, self.durable = self.durable, None
        return waiters

    def sent(self) -> None:
        """Note that a flush has taken all that was to be written, and begin to collect for the next one."""
        self.events = []
        self.pending_bytes = 0
        if self.inbox:
            self.inbox = {}
        if self.moves:
            self.moves = {}
        if self.consumed:
            self.consumed = {}
        self.durable = None
        self.written_status, self.written_attempt, self.written_seq = self.status, self.attempt, self.seq
        self.written_waits = self.waits

    def take_back(
        self,
        events: list[EventWrite],
        inbox: dict[uuid.UUID, InboxWrite],
        moves: dict[uuid.UUID, Fate],
        consumed: dict[uuid.UUID, int],
        durable: list[asyncio.Future[None]] | None,
        written: tuple[Status, int, int, bytes | None],
    ) -> None:
        """Take back what a flush had no room for. written: its status, attempt, seq and waits as of that flush."""
        self.events = events + self.events
        self.pending_bytes += size_bytes_of(events, inbox)
        self.inbox = inbox | self.inbox
        self.moves = moves | self.moves
        self.consumed = consumed | self.consumed
        self.durable = durable
        self.written_status, self.written_attempt, self.written_seq, self.written_waits = written

    def committed(self, seq: int) -> None:
        """Note that its events up to this one are durable."""
        self.durable_seq = seq

    def poison(self, attempt: int, seq: int, reason: str, error: bytes) -> None:
        """Drop what Postgres refuses, and count the turn as parked by the flush that is sent now."""
        self.result = self.waits = self.written_waits = None
        self.status = self.written_status = Status.PARKED
        self.attempt = self.written_attempt = attempt
        self.seq = self.written_seq = seq
        self.reason, self.error = reason, error
        self.events, self.inbox, self.moves, self.pending_bytes = [], {}, {}, 0

    def refuse(self) -> None:
        """Write nothing of it from this memory any more: Postgres is right about it."""
        self.is_refused = True

    def keep_unwritten(self, events: Sequence[EventWrite]) -> None:
        """Keep events that will not be written from here, for the next owner."""
        self.unwritten = [*self.unwritten, *events]
