"""Rows addressed to turns (signals, cancels, resumes, timers, what former owners say), read when due and taken in the
flush of their effect.

Rules (I7):
- A row stays due until a flush says what became of it; what was read twice is recognised by its id (`_in_hand`).
- No cursor over ids: rows become visible in any order, so every read asks for all that is due.
- A row for a turn that is not accepted yet stays; so do all of a partition whose former owner may still say what runs
  there.
- A row that meets a turn between its last line of code and the commit of its last flush is looked at again afterwards.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import UnavailableError
from argosy.store.head import DueRow, Heads, LoadedTurn
from argosy.turn.events import Event
from argosy.turn.status import ENDED, Status
from argosy.workers.dispatch.execution.executor import Executor
from argosy.workers.dispatch.flush.flusher import Flusher, LooseMove, Placement
from argosy.workers.dispatch.inbox.inbox_rule import Action, decide, decide_held, waits_for
from argosy.workers.dispatch.inbox.read_ahead import ReadAhead
from argosy.workers.dispatch.ownership.takeover import Takeover
from argosy.workers.dispatch.scheduling.pager import Pager, turn_of
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Owned, Result, Signal, Stop, Turn

log = structlog.get_logger()

_ROWS_PER_READ = 500
_TIMER_SLACK_S = 0.005  # a look that comes a moment early would wait for the next one


class Inbox:
    """Runs until cancelled; `poke` makes it look at once."""

    def __init__(
        self,
        heads: Heads,
        scheduler: Scheduler,
        executor: Executor,
        flusher: Flusher,
        pager: Pager,
        takeover: Takeover,
        clock: Clock,
        *,
        owned: dict[int, Owned],
        partition_of: Callable[[int], int],
        interval_s: Callable[[], float],
    ) -> None:
        self._heads = heads
        self._scheduler = scheduler
        self._executor = executor
        self._flusher = flusher
        self._pager = pager
        self._takeover = takeover
        self._clock = clock
        self._owned = owned
        self._partition_of = partition_of
        self._interval_s = interval_s
        self._in_hand: dict[uuid.UUID, Owned] = {}
        self._work = asyncio.Event()
        self.ahead = ReadAhead(heads, scheduler, takeover, self._owned_of, self._take_ahead)

    def poke(self) -> None:
        """Something is due. A hint: it may be named twice, or never."""
        self._work.set()

    def expect(self, due_s: list[float]) -> None:
        """Timers were written: one that is due before the next look is looked for when it is due."""
        if (first_s := min(due_s)) < self._interval_s():
            asyncio.get_running_loop().call_later(first_s + _TIMER_SLACK_S, self._work.set)

    def again(self, turn: Turn) -> None:
        """The turn's last flush is durable: what met it meanwhile is looked at again."""
        for inbox_id in turn.deferred:
            self._in_hand.pop(inbox_id, None)
        turn.deferred = []
        self._work.set()

    def moved(self, inbox_ids: Iterable[uuid.UUID]) -> None:
        """A flush says what became of these rows."""
        for inbox_id in inbox_ids:
            self._in_hand.pop(inbox_id, None)

    def placed(self, placements: list[Placement]) -> None:
        """Delayed turns got their places: their sessions may have a new head."""
        for placement in placements:
            self._scheduler.more(placement.session_id, placement.bucket, placement.owned)
        self._pager.nudge()

    def void(self, owned: Owned) -> None:
        self._in_hand = {inbox_id: each for inbox_id, each in self._in_hand.items() if each is not owned}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.ahead.run())
            group.create_task(self._run())

    async def _run(self) -> None:
        while True:
            wait_s = self._interval_s()
            self._work.clear()
            try:
                next_due_s = await self._read()
                if next_due_s is not None:
                    wait_s = min(wait_s, max(0.001, next_due_s))
            except UnavailableError as error:
                log.warning(telemetry.STORE_UNAVAILABLE, error=str(error))
            try:
                async with asyncio.timeout(wait_s):
                    await self._work.wait()
            except TimeoutError:
                pass

    async def _read(self) -> float | None:
        ranges = [(each.first_bucket, each.last_bucket) for each in self._owned.values() if is_read(each)]
        if not ranges:
            return None
        with self._scheduler.watch() as departed:
            due = await self._heads.due_inbox(ranges, _ROWS_PER_READ)
            fresh = [row for row in due if row.inbox_id not in self._in_hand]
            missing = {
                row.turn_id for row in fresh if row.status is not None and row.turn_id not in self._scheduler.live
            }
            turns = await self._heads.load_turns(list(missing)) if missing else []
            loaded = {each.turn_id: each for each in turns}
        in_hand_before = len(self._in_hand)
        for row in fresh:
            owned = self._owned_of(row.bucket)
            if row.turn_id in departed:  # it came, ran and left while we read: what was read is older than that
                self._work.set()
            elif owned is not None:
                self._take(row, owned, loaded.get(row.turn_id))
        self._pager.nudge()
        self._executor.fill()
        # A full page, and some of it was taken: there may be more. (Rows in hand stay due until their flush, and those
        # of turns that are not read yet stay until they are.)
        has_more = len(due) == _ROWS_PER_READ and len(self._in_hand) > in_hand_before
        return 0.0 if has_more else await self._heads.next_due_s(ranges)

    def _owned_of(self, bucket: int) -> Owned | None:
        """The claim under which rows of this bucket are taken now."""
        owned = self._owned.get(self._partition_of(bucket))
        return owned if owned is not None and is_read(owned) else None

    def _take_ahead(self, row: DueRow, owned: Owned, loaded: LoadedTurn) -> None:
        self._take(row, owned, loaded)
        self._executor.fill()

    def _take(self, row: DueRow, owned: Owned, loaded: LoadedTurn | None) -> None:
        turn = self._scheduler.live.get(row.turn_id)
        if row.status is None:
            self._move(row, owned, "late")  # the log was read far enough: its turn never comes
        elif turn is None:
            if loaded is not None:
                self._take_absent(row, owned, loaded)
        elif turn.owned is owned and row.inbox_id not in turn.seen:
            self._take_present(row, owned, turn)

    def _take_absent(self, row: DueRow, owned: Owned, loaded: LoadedTurn) -> None:
        """The turn waits in Postgres: delayed, behind others, suspended, parked, ended, or held for a former owner."""
        self.ahead.touched(row.turn_id)
        status = Status(loaded.status)
        if self._takeover.is_held(row.turn_id) and status not in ENDED:
            action = decide_held(row.kind, row.name, status, waits_for(loaded.waits, row))
        elif status is Status.RUNNING and row.kind not in ("step_result", "handover"):
            return  # it ran before a claim, and its head is not read yet
        elif status is Status.RUNNING:
            action = Action.BUFFER if row.kind == "step_result" else Action.LATE
        else:
            action = decide(row.kind, row.name, status, waits_for(loaded.waits, row))
        if action is Action.SAID:
            self._move(row, owned, "consumed")
            self._takeover.said(row.turn_id, row.name)
        elif action is Action.BUFFER:
            self._move(row, owned, "buffered")
            if status is Status.QUEUED or self._pager.is_coming(row.turn_id):
                self._pager.signalled(row.turn_id, owned)
        elif action is Action.PLACE:
            self._move(row, owned, "deleted")
            self._flusher.place(Placement(owned, row.turn_id, loaded.session_id, loaded.bucket))
        elif action in (Action.LATE, Action.DELETE):
            self._move(row, owned, "late" if action is Action.LATE else "deleted")
        elif action in (Action.CANCEL, Action.EXPIRE):
            turn = turn_of(loaded, owned)  # one that is held stays so until Postgres has its end: the note lists it
            self._scheduler.live[turn.turn_id] = turn
            self._end(row, owned, turn, action)
        elif action in (Action.WAKE, Action.RESUME):
            turn = turn_of(loaded, owned)
            if self._scheduler.found(turn):
                self._in_hand[row.inbox_id] = owned
                turn.seen.add(row.inbox_id)
                if action is Action.RESUME:
                    turn.moves[row.inbox_id] = "consumed"
                elif row.kind == "timer":
                    turn.fired[row.correlation] = row.inbox_id

    def _take_present(self, row: DueRow, owned: Owned, turn: Turn) -> None:
        """The turn is in memory: waiting for its slot, running, or between its last line and its last flush."""
        self._in_hand[row.inbox_id] = owned
        has_begun = turn.journal is not None
        if turn.has_ended or turn.stop is not None or (has_begun and turn.status is not Status.RUNNING):
            turn.deferred.append(row.inbox_id)
            return
        if row.kind == "step_result" and not has_begun:  # whether its history was read before this or is read after
            turn.seen.add(row.inbox_id)
            turn.results.append(Result(row.inbox_id, row.name, row.correlation, row.payload or b"{}"))
            return
        # One that waits for its slot is treated like a running one: it will find in memory what comes now.
        status = Status.RUNNING if turn.status is not Status.QUEUED or row.kind == "timer" else turn.status
        action = decide(row.kind, row.name, status, waits_for=True)
        if row.name in ("deadline", "not_before") and row.kind == "timer":
            action = decide(row.kind, row.name, turn.status, waits_for=True)
        if action in (Action.CANCEL, Action.EXPIRE):
            self._end(row, owned, turn, action)
        elif action in (Action.LATE, Action.DELETE):
            self._move(row, owned, "late" if action is Action.LATE else "deleted")
        elif row.kind == "timer":
            turn.seen.add(row.inbox_id)
            if has_begun:
                turn.journal.fire(row.correlation, row.inbox_id)
            else:
                turn.fired[row.correlation] = row.inbox_id
        else:
            turn.seen.add(row.inbox_id)
            signal = Signal(row.inbox_id, row.name, row.payload or b"null")
            if has_begun:
                turn.journal.deliver(signal)
            else:
                turn.signals.append(signal)
                self._move(row, owned, "buffered")

    def _end(self, row: DueRow, owned: Owned, turn: Turn, action: Action) -> None:
        self._in_hand[row.inbox_id] = owned
        turn.moves[row.inbox_id] = "consumed" if row.kind == "cancel" else "deleted"
        if turn.journal is not None:
            self._executor.stop(turn, Stop.CANCEL if action is Action.CANCEL else Stop.EXPIRE)
        elif action is Action.CANCEL:
            self._executor.end(turn, Status.CANCELLED, Event.TURN_CANCELLED)
        else:
            self._executor.end(turn, Status.EXPIRED, Event.TURN_EXPIRED)

    def _move(self, row: DueRow, owned: Owned, to: str) -> None:
        telemetry.INBOX.labels(kind=row.kind, outcome=to).inc()
        self._in_hand[row.inbox_id] = owned
        self._flusher.move(LooseMove(owned, row.inbox_id, to))


def is_read(owned: Owned) -> bool:
    """Whether rows of this partition are taken: what runs there is known, and is not being handed over."""
    return owned.is_open and not (owned.is_void or owned.is_closing)
