"""A turn in a worker's memory: its state in Postgres, what it is to become, and what waits to be written."""

import uuid
from collections.abc import Sequence
from enum import Enum

from argosy.errors import InternalError
from argosy.store.head import LoadedTurn
from argosy.turn.events import Event
from argosy.turn.inbox import Fate
from argosy.turn.status import ENDED, Status
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.running_journal import RunningJournal
from argosy.workers.dispatch.signals import NO_SIGNALS, Signal, Signals
from argosy.workers.dispatch.turn_row import TurnRow
from argosy.workers.dispatch.writes import EventWrite, Result
from argosy.workflow.channels import Channels
from argosy.workflow.execute import Execution
from argosy.workflow.journal import Emitter
from argosy.workflow.replay import Row


class Stop(Enum):
    """Why the code of a running turn is ended from outside."""

    SUSPEND = "suspend"
    CANCEL = "cancel"  # its code has not begun yet, or has had its time to clean up
    EXPIRE = "expire"
    DROP = "drop"  # this process may not write for it any more, or is closing
    HANDOVER = "handover"  # another worker owns it, or will: nothing new begins here, steps in flight run to their end


class Turn(TurnRow):
    """One turn in memory. It is changed on the event loop only, and by its methods only."""

    __slots__ = (
        "awaits_start",
        "bucket",
        "cancel_id",
        "cancel_until_s",
        "channels",
        "created_by",
        "emitter",
        "execution",
        "fired",
        "found_running_seq",
        "history",
        "history_bytes",
        "input",
        "is_taken_over",
        "journal",
        "needs_load",
        "owned",
        "place",
        "priority",
        "results",
        "resume",
        "session_id",
        "session_name",
        "signals",
        "stop",
        "tenant",
        "timers",
        "turn_id",
        "workflow",
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
        created_by: bytes | None = None,
    ) -> None:
        super().__init__(status, attempt, crashes, seq, version)
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
        self.created_by = created_by  # who posted it: identity/turn_principal.py
        self.needs_load = input is None or status is not Status.QUEUED
        # How many events it had when it came into memory, if it was running in Postgres then.
        self.found_running_seq = seq if status is Status.RUNNING else None
        # Signals that no wait has taken yet; timers that came due, by the key of their wait.
        self.signals = NO_SIGNALS
        self.fired: dict[str, uuid.UUID] = {}
        # Timers that Postgres has, by the key of their wait: their ids, and when they are due (database time).
        self.timers: dict[str, tuple[uuid.UUID, float]] = {}
        self.history: Sequence[Row] = ()
        # The data of all its events in bytes, those of history included.
        self.history_bytes = 0
        # Outcomes of steps at a former owner, to be recorded before the code asks for them.
        self.results: list[Result] = []
        self.resume = Resume.CRASHED
        # The inbox row of its cancel, due until the turn has ended; until when its code may clean up, database time.
        self.cancel_id: uuid.UUID | None = None
        self.cancel_until_s: float | None = None
        # Its attempt began at another worker and goes on here. Its code runs only once its start is durable, as it
        # may end its worker (execution/crash_rule.py), or another worker may have it by now.
        self.is_taken_over = self.awaits_start = False
        self.execution: Execution | None = None
        self.journal: RunningJournal | None = None
        # What its code emitted and no durable event holds yet; set from any thread. None: ask `emitter` for it.
        self.channels: Channels | None = None
        self.emitter: Emitter | None = None
        self.stop: Stop | None = None  # why its code was ended

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def is_accused(self) -> bool:
        """Whether it was in a crash, and nothing that was recorded since speaks for it (execution/crash_rule.py)."""
        return self.crashes > 0 or (self.status is Status.RUNNING and self.resume is Resume.CRASHED)

    @property
    def goes_on_as_found(self) -> bool:
        """Whether Postgres has it running as it was when it came into memory: no event from here is durable yet."""
        return self.found_running_seq is not None and self.durable_seq == self.found_running_seq

    @property
    def is_live(self) -> bool:
        """Whether this process may still write the turn."""
        return not (self.is_refused or self.owned.is_void)

    @property
    def open_journal(self) -> RunningJournal:
        """The journal of the attempt that runs. Raises InternalError when none does."""
        if self.journal is None:
            raise InternalError(f"nothing of turn {self.turn_id} runs")
        return self.journal

    # Into memory

    def place_at(self, place: int, accepted_s: float) -> None:
        """Give it the place in its session that Postgres gave it. accepted_s: when, database time."""
        self.place = place
        self.rest_since(accepted_s)

    def resume_as(self, resume: Resume) -> None:
        """Note how it goes on, if it was running under another claim."""
        self.resume = resume

    def require_load(self) -> None:
        """Let its history be read before it runs."""
        self.needs_load = True

    def forget_history(self) -> None:
        """Free the memory of its history, which is read again before it runs."""
        self.history, self.history_bytes, self.needs_load = (), 0, True

    def fill(self, row: LoadedTurn) -> None:
        """Take in all that Postgres has of it, beside what came meanwhile."""
        self.needs_load = False
        self.input, self.trial, self.created_by = row.input, row.trial, row.created_by
        self.waits = self.written_waits = row.waits
        self.history = row.events or ()
        self.history_bytes = sum(len(event[4]) for event in self.history)
        # In the order of their sending: a signal that memory took in meanwhile is among those read, or came later.
        stored = {signal[0]: Signal(*signal) for signal in row.signals}
        self.signals = Signals([*stored.values(), *(each for each in self.signals if each.inbox_id not in stored)])
        known = {result.inbox_id for result in self.results}
        self.results += [Result(*result) for result in row.results or () if result[0] not in known]
        self.see(*stored, *(result.inbox_id for result in self.results))
        self.timers = {key: (inbox_id, due_at_s) for key, inbox_id, _, due_at_s in row.timers}
        self.fired = {key: inbox_id for key, inbox_id, is_buffered, _ in row.timers if is_buffered} | self.fired

    def remember(self, rows: Sequence[Row]) -> None:
        """Add events to the history with which its attempt begins."""
        self.history = [*self.history, *rows]

    # Its attempt

    def write(self, event: Event, key: str = "", data: bytes = b"{}") -> None:
        """Add a durable event, which goes with the next flush."""
        self.seq += 1
        # As EventWrite(…), without the cost of that call: every turn has several events.
        self.events.append(tuple.__new__(EventWrite, (self.seq, self.attempt, event, key, data)))
        self.pending_bytes += len(data)
        self.history_bytes += len(data)
        if self.channels is not None:
            self.channels.follow()

    def take_over(self) -> None:
        """Go on with the attempt that began at another worker."""
        self.is_taken_over = True

    def await_start(self, *, is_needed: bool = True) -> None:
        """Say whether its code runs only once its start is durable."""
        self.awaits_start = is_needed

    def run_by(self, journal: RunningJournal) -> None:
        """Begin an attempt with this journal."""
        self.journal = journal

    def run_as(self, execution: Execution) -> None:
        """Note what runs its code."""
        self.execution = execution

    def emit_by(self, emitter: Emitter) -> None:
        """Note whom to ask for what its code emits."""
        self.emitter = emitter

    def show(self, channels: Channels | None) -> None:
        """Show what its code has emitted; None: nothing more."""
        self.channels = channels

    def stop_as(self, why: Stop) -> None:
        """Let nothing new begin in it, while its code may go on. A reason that it has already stays."""
        self.stop = self.stop or why

    def halt(self, why: Stop) -> None:
        """Stop its code, if it runs and was not stopped before; `why` decides what the turn becomes."""
        if self.stop is None and self.execution is not None:
            self.stop = why
            self.execution.cancel()

    def break_off(self, why: Stop) -> None:
        """Stop its code, if it runs, whatever it was stopped for before. A reason that it has already stays."""
        if self.execution is not None:
            self.stop_as(why)
            self.execution.cancel()

    def release(self) -> None:
        """Free what ran it. The two refer to each other: without this, only the garbage collector would free them."""
        if self.journal is not None:
            self.journal.close()
        self.journal = self.execution = self.channels = self.emitter = None

    def end(self, status: Status) -> None:
        """End it: it waits for nothing any more, and cleans nothing up."""
        self.become(status)
        self.waits = None
        if self.cancel_until_s is not None:
            self.reason = None

    # What others send to it

    def receive(self, signal: Signal) -> None:
        """Keep a signal until a wait takes it."""
        if self.signals is NO_SIGNALS:
            self.signals = Signals()
        self.signals.append(signal)

    def consume(self, signal: Signal) -> None:
        """Take the first signal of its name: the last event has its payload."""
        self.signals.take(signal.name)
        self.moves[signal.inbox_id] = Fate.CONSUMED
        self.consumed[signal.inbox_id] = self.seq

    def receive_result(self, result: Result) -> None:
        """Keep the outcome of a step at a former owner until its attempt begins."""
        self.results.append(result)

    def fire(self, key: str, inbox_id: uuid.UUID) -> None:
        """Note that the timer of this wait came due."""
        self.fired[key] = inbox_id

    def delete_fired(self, key: str) -> bool:
        """Delete the timer of this wait if it came due. Return whether it had."""
        inbox_id = self.fired.pop(key, None)
        if inbox_id is None:
            return False
        self.moves[inbox_id] = Fate.DELETED
        return True

    def take_timer(self, key: str) -> tuple[uuid.UUID, float] | None:
        """Remove and return the timer that Postgres has of this wait."""
        return self.timers.pop(key, None)

    def cancel_by(self, inbox_id: uuid.UUID) -> None:
        """Note the inbox row of its cancel."""
        self.cancel_id = inbox_id

    def clean_up_until(self, until_s: float, reason: str) -> None:
        """Let its code clean up after a cancel, until this database time."""
        self.cancel_until_s, self.reason = until_s, reason
