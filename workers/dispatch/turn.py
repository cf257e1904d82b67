"""A turn in a worker's memory: its state in Postgres, what it is to become, and what waits to be written."""

import asyncio
import uuid
from collections.abc import Sequence, Set
from enum import Enum
from typing import Any

from argosy.turn.events import Event
from argosy.turn.inbox import Fate
from argosy.turn.status import ENDED, Status
from argosy.turn.transitions import advance
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.signals import Signals
from argosy.workers.dispatch.writes import EventWrite, InboxWrite, Result
from argosy.workflow.channels import Channels
from argosy.workflow.journal import Emitter


class Stop(Enum):
    """Why the code of a running turn is ended from outside."""

    SUSPEND = "suspend"
    CANCEL = "cancel"  # its code has not begun yet, or has had its time to clean up
    EXPIRE = "expire"
    DROP = "drop"  # this process may not write for it any more, or is closing
    HANDOVER = "handover"  # another worker owns it, or will: nothing new begins here, steps in flight run to their end


class Turn:
    """One turn in memory, changed on the event loop only. `written_*`: its state as of the last flush that was sent.

    Invariants: status moves along argosy/turn/transitions.py; seq grows by one per event; `events`, `inbox` and `moves`
    go with the next flush, or, when they are too large for one, with the next few.
    """

    __slots__ = (
        "attempt",
        "awaits_start",
        "bucket",
        "cancel_id",
        "cancel_until_s",
        "channels",
        "consumed",
        "counted_bytes",
        "crashes",
        "deferred",
        "durable",
        "durable_seq",
        "emitter",
        "error",
        "events",
        "execution",
        "fired",
        "found_running_seq",
        "history",
        "history_bytes",
        "inbox",
        "input",
        "is_queued_to_flush",
        "is_refused",
        "is_taken_over",
        "journal",
        "moves",
        "needs_load",
        "owned",
        "pending_bytes",
        "place",
        "priority",
        "reason",
        "result",
        "results",
        "resume",
        "seen",
        "seq",
        "session_id",
        "session_name",
        "signals",
        "status",
        "stop",
        "tenant",
        "timers",
        "trial",
        "turn_id",
        "unwritten",
        "version",
        "waits",
        "workflow",
        "written_attempt",
        "written_seq",
        "written_status",
        "written_waits",
    )

    def __init__(
        self,
        *,
        owned: Owned,
        turn_id: uuid.UUID,
        tenant: str,
        session_id: uuid.UUID,
        session_name: str,
        bucket: int,
        place: int,
        workflow: str,
        priority: int,
        input: bytes | None,  # noqa: A002 — the word of the API
        status: Status = Status.QUEUED,
        attempt: int = 0,
        crashes: int = 0,
        seq: int = 0,
        version: str | None = None,
    ) -> None:
        self.owned = owned
        self.turn_id = turn_id
        self.tenant = tenant
        self.session_id = session_id
        self.session_name = session_name
        self.bucket = bucket
        self.place = place
        self.workflow = workflow
        self.priority = priority
        self.input = input
        self.status = self.written_status = status
        self.attempt = self.written_attempt = attempt
        self.seq = self.written_seq = self.durable_seq = seq
        self.crashes = crashes
        self.trial: bytes | None = None  # what is known of its trial: execution/crash_rule.py
        self.version = version
        self.result: bytes | None = None
        self.error: bytes | None = None
        self.waits: bytes | None = None
        self.written_waits: bytes | None = None
        self.reason: str | None = None
        self.needs_load = input is None or status is not Status.QUEUED
        # How many events it had when it came into memory, if it was running in Postgres then.
        self.found_running_seq = seq if status is Status.RUNNING else None
        self.is_refused = self.is_queued_to_flush = False
        self.durable: list[asyncio.Future[None]] | None = None  # one per waiter for the commit of what it wrote so far
        self.events: list[EventWrite] = []
        self.inbox: dict[uuid.UUID, InboxWrite] = {}
        self.moves: dict[uuid.UUID, Fate] = {}
        self.consumed: dict[uuid.UUID, int] = {}  # for each signal among the moves the seq of the event that holds it
        # The data of `events` in bytes, and how many of them the flusher has counted.
        self.pending_bytes = self.counted_bytes = 0
        # Signals that no wait has taken yet; timers that came due, by the key of their wait.
        self.signals = Signals()
        self.fired: dict[str, uuid.UUID] = {}
        # Timers that Postgres has, by the key of their wait: their ids, and when they are due (database time).
        self.timers: dict[str, tuple[uuid.UUID, float]] = {}
        # Inbox rows that met the turn between its last line of code and the commit of its last flush.
        self.deferred: list[uuid.UUID] = []
        # Inbox rows that memory has taken in: a row that is read a second time is recognised by it.
        self.seen: Set[uuid.UUID] = frozenset()
        self.history: Sequence[Any] = ()
        # The data of all its events in bytes, those of history included.
        self.history_bytes = 0
        # Outcomes of steps at a former owner, to be recorded before the code asks for them.
        self.results: list[Result] = []
        # Events of flushes that Postgres refused: the next owner is told the outcomes of steps among them.
        self.unwritten: Sequence[EventWrite] = ()
        self.resume = Resume.CRASHED
        # The inbox row of its cancel, due until the turn has ended; until when its code may clean up, database time.
        self.cancel_id: uuid.UUID | None = None
        self.cancel_until_s: float | None = None
        # Its attempt began at another worker and goes on here. Its code runs only once its start is durable, as it
        # may end its worker (execution/crash_rule.py), or another worker may have it by now.
        self.is_taken_over = self.awaits_start = False
        self.execution: Any = None  # argosy.workflow.execute.Execution
        self.journal: Any = None  # execution/journal.py
        # What its code emitted and no durable event holds yet; set from any thread. None: ask `emitter` for it.
        self.channels: Channels | None = None
        self.emitter: Emitter | None = None
        self.stop: Stop | None = None  # why its code was ended

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def goes_on_as_found(self) -> bool:
        """Whether Postgres has it running as it was when it came into memory: no event from here is durable yet."""
        return self.found_running_seq is not None and self.durable_seq == self.found_running_seq

    @property
    def is_live(self) -> bool:
        """Whether this process may still write the turn."""
        return not (self.is_refused or self.owned.is_void)

    def become(self, status: Status) -> None:
        self.status = advance(self.status, status)

    def see(self, *inbox_ids: uuid.UUID) -> None:
        """Note that memory has taken in these inbox rows."""
        self.seen = self.seen or set()
        self.seen |= set(inbox_ids)

    def drop_timer(self, timer_id: uuid.UUID) -> None:
        """Remove a timer whose wait is over or was given up: the next flush deletes it, or does not write it at all."""
        if self.inbox.pop(timer_id, None) is None:
            self.moves[timer_id] = Fate.DELETED

    def write(self, event: Event, key: str = "", data: bytes = b"{}") -> None:
        """Add a durable event, which goes with the next flush."""
        self.seq += 1
        # As EventWrite(…), without the cost of that call: every turn has several events.
        self.events.append(tuple.__new__(EventWrite, (self.seq, self.attempt, event, key, data)))
        self.pending_bytes += len(data)
        self.history_bytes += len(data)
        if self.channels is not None:
            self.channels.follow()
