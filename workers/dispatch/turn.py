"""What a worker's memory holds of a turn: what Postgres has, what it is to become, and what waits to be written."""

import asyncio
import uuid
from collections.abc import Sequence, Set
from enum import Enum
from typing import Any, NamedTuple

from argosy.log import Gap
from argosy.turn.events import Event
from argosy.turn.status import ENDED, Status
from argosy.turn.transitions import advance
from argosy.workers.dispatch.signals import Signals
from argosy.workflow.channels import Channels
from argosy.workflow.journal import Emitter


class Stop(Enum):
    """Why a running turn's task is ended from outside."""

    SUSPEND = "suspend"
    CANCEL = "cancel"  # its code has had its time to clean up
    EXPIRE = "expire"
    DROP = "drop"  # this process may not write for it any more, or is closing
    HANDOVER = "handover"  # another process owns it, or will: nothing new begins, and steps in flight run to their end


class Resume(Enum):
    """How a turn goes on that was running under another claim."""

    MOVED = "moved"  # its owner handed it over: the same attempt goes on
    UNHEARD = "unheard"  # its owner lives and said nothing in time: it runs again, and that is no crash
    CRASHED = "crashed"  # its owner died


class Owned:
    """A partition under one claim in Postgres. A new one makes a new Owned; `is_void` is for ever.

    log_id, position: the next record to be accepted, in which log; lag: records behind it at the last look; next_read:
    the next one expected from the reader; gap: where the last reading showed no record, and is not believed yet;
    claim: the number under which it is read, 0 for not at all; is_reading: the reader was told to deliver it. is_open:
    what the former owner left is known, so what waits in Postgres may be run; is_closing: it is handed over, and still
    ours. resume: how turns go on that are running in Postgres; crashed_at_s: when an owner of it died last, database
    time, 0: never. held_at_s: when the last call was sent to which Postgres answered that it is ours, monotonic.
    """

    __slots__ = (
        "backlog",
        "claim",
        "crashed_at_s",
        "epoch",
        "first_bucket",
        "gap",
        "held_at_s",
        "is_closing",
        "is_lent",
        "is_open",
        "is_reading",
        "is_void",
        "lag",
        "last_bucket",
        "log_id",
        "mark",
        "next_read",
        "partition",
        "position",
        "resume",
    )

    def __init__(self, partition: int, epoch: int, buckets: tuple[int, int]) -> None:
        self.partition = partition
        self.epoch = epoch
        self.claim = 0
        self.first_bucket, self.last_bucket = buckets
        self.log_id = ""
        self.position = 0
        self.next_read = 0
        self.lag = 0
        self.backlog: list[Any] = []
        self.gap: Gap | None = None
        self.mark: tuple[int, float] | None = None
        self.is_void = self.is_closing = self.is_lent = self.is_open = self.is_reading = False
        self.resume = Resume.CRASHED
        self.crashed_at_s = 0.0
        self.held_at_s = float("-inf")


class InboxWrite(NamedTuple):
    """A new inbox row of a turn. due_s: seconds from when it is written."""

    inbox_id: uuid.UUID
    kind: str
    name: str
    correlation: str
    payload: bytes | None
    due_s: float


class EventWrite(NamedTuple):
    seq: int
    attempt: int
    type: Event
    key: str
    data: bytes


class Result(NamedTuple):
    """An outcome that a former owner of the turn delivered. type: of the event that it is."""

    inbox_id: uuid.UUID
    type: str
    key: str
    data: bytes


class Turn:
    """One turn in memory. Changed on the event loop only; `written_*` is what the last flush sent has said.

    Invariants: status moves along argosy/turn/transitions.py; seq grows by one per event; what is in `events`, `inbox`
    and `moves` goes with the next flush, in one row.
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
        self.trial: bytes | None = None  # what it is tried for: execution/crash_rule.py
        self.version = version
        self.result: bytes | None = None
        self.error: bytes | None = None
        self.waits: bytes | None = None
        self.written_waits: bytes | None = None
        self.reason: str | None = None
        self.needs_load = input is None or status is not Status.QUEUED
        # Running in Postgres when it came into memory, with so many events.
        self.found_running_seq = seq if status is Status.RUNNING else None
        self.is_refused = self.is_queued_to_flush = False
        self.durable: list[asyncio.Future[None]] | None = None  # of each who waits until what is written is committed
        self.events: list[EventWrite] = []
        self.inbox: dict[uuid.UUID, InboxWrite] = {}
        self.moves: dict[uuid.UUID, str] = {}
        # Signals among the moves: the number of the event that holds each.
        self.consumed: dict[uuid.UUID, int] = {}
        # Data of `events`, and what of it the flusher has counted.
        self.pending_bytes = self.counted_bytes = 0
        # Signals nobody has taken yet, and timers that came due, by the key of their wait.
        self.signals = Signals()
        self.fired: dict[str, uuid.UUID] = {}
        # Timers of its waits that Postgres has, by the key of their wait, and when they are due (database time).
        self.timers: dict[str, tuple[uuid.UUID, float]] = {}
        # Inbox rows that met the turn between its last line of code and the commit of its last flush.
        self.deferred: list[uuid.UUID] = []
        # Inbox rows that memory has taken in, so that a second read of one is recognised.
        self.seen: Set[uuid.UUID] = frozenset()
        self.history: Sequence[Any] = ()
        # Data of all its events, those of history included.
        self.history_bytes = 0
        # Outcomes from a former owner, to be recorded before the code asks for them.
        self.results: list[Result] = []
        # Events of a flush that was refused, its partition being lost: a successor hears their outcomes.
        self.unwritten: Sequence[EventWrite] = ()
        self.resume = Resume.CRASHED
        # The row of its cancel, which stays due until it has ended; until when its code may clean up, database time.
        self.cancel_id: uuid.UUID | None = None
        self.cancel_until_s: float | None = None
        # Its attempt began elsewhere and goes on here; its start is durable before its code runs, as it may kill.
        self.is_taken_over = self.awaits_start = False
        self.execution: Any = None  # argosy.workflow.execute.Execution
        self.journal: Any = None  # execution/journal.py
        # What its code has emitted and no durable event holds yet; set in any thread. None: its attempt has it.
        self.channels: Channels | None = None
        self.emitter: Emitter | None = None
        self.stop: Stop | None = None  # why its code was ended

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def goes_on_as_found(self) -> bool:
        """Whether, as far as Postgres knows, it still runs as it did before it came into memory."""
        return self.found_running_seq is not None and self.durable_seq == self.found_running_seq

    @property
    def is_live(self) -> bool:
        """Whether this process may still write for it."""
        return not (self.is_refused or self.owned.is_void)

    def become(self, status: Status) -> None:
        self.status = advance(self.status, status)

    def see(self, *inbox_ids: uuid.UUID) -> None:
        """Memory has taken these rows in."""
        self.seen = self.seen or set()
        self.seen |= set(inbox_ids)

    def drop_timer(self, timer_id: uuid.UUID) -> None:
        """The wait of this timer is over, or was given up: the next flush removes it, or never writes it."""
        if self.inbox.pop(timer_id, None) is None:
            self.moves[timer_id] = "deleted"

    def write(self, event: Event, key: str = "", data: bytes = b"{}") -> None:
        """Add a durable event; it goes with the next flush."""
        self.seq += 1
        # As EventWrite(…), without its frame: there are some for every turn.
        self.events.append(tuple.__new__(EventWrite, (self.seq, self.attempt, event, key, data)))
        self.pending_bytes += len(data)
        self.history_bytes += len(data)
        if self.channels is not None:
            self.channels.follow()
