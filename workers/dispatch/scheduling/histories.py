"""Read the histories of turns that are about to run: many small ones in one read, large ones alone.

Rules:
- One read brings LOAD_SIZE_BYTES_MAX at the most. Turns that do not fit are read with the next one. A turn that alone
  has more is read page by page, and only while the running turns' histories leave room for it (LOADED_SIZE_BYTES_MAX),
  or no running turn has any.
- A read that Postgres does not finish in time, twice, is tried with half the turns, down to one; so is, at once, a read
  that fails for its content. The one turn that is at fault in the end is set aside: it is parked, and the message says
  how to go on.
- No turn is at fault while Postgres is away, nor for being slow while Postgres finishes no other turn's read.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from argosy.clock import Clock
from argosy.config import Settings
from argosy.rounds import Rounds
from argosy.store.fault import Fault, fault_of
from argosy.store.head import Heads, LoadedTurn
from argosy.workers.dispatch.scheduling.found_turn import fill
from argosy.workers.dispatch.scheduling.loading import AfterLoading, Unreadable
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Turn

_TURNS_PER_READ: Final = 64  # halved by a read that fails, and doubled up to this by one that does not
_SLOW_MAX: Final = 2  # reads of several turns that are too slow for Postgres, before fewer turns are read
_SLOW_ALONE_MAX: Final = 5  # reads of one turn that are too slow, before that turn is at fault
_WORDS_MAX: Final = 500  # of Postgres's message, which may quote what it read


class Histories:
    """The reader of histories; `run` goes on until cancelled. large: turns whose large histories wait for room."""

    def __init__(
        self, heads: Heads, scheduler: Scheduler, clock: Clock, settings: Settings, then: AfterLoading
    ) -> None:
        self._heads = heads
        self._scheduler = scheduler
        self._clock = clock
        self._then = then
        # Of one turn, with its unread signals; of all running turns.
        self._history_size_bytes_max = settings.history_size_bytes_max
        self._loaded_size_bytes_max = settings.loaded_size_bytes_max
        self._turns: deque[Turn] = deque()
        self.large: deque[tuple[Turn, int]] = deque()
        self._work = asyncio.Event()
        self._large_work = asyncio.Event()
        self._per_read = _TURNS_PER_READ
        self._slow = 0
        self._reads = 0  # reads that succeeded
        # Turns of which a read alone was too slow: how often, and how many reads had succeeded before the first time.
        self._slow_alone: dict[uuid.UUID, tuple[int, int]] = {}

    def load(self, turn: Turn) -> None:
        """Read the turn's history and waiting signals, then tell that it is loaded."""
        self._turns.append(turn)
        self._work.set()

    def nudge(self) -> None:
        """Look whether there is room for a large history now."""
        if self.large:
            self._large_work.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop("histories", self._work, self._read))
            group.create_task(self._loop("large histories", self._large_work, self._read_large))

    async def _loop(self, name: str, work: asyncio.Event, read: Callable[[Rounds], Awaitable[bool]]) -> None:
        rounds = Rounds(name, self._clock)
        while True:
            await work.wait()
            work.clear()
            async with rounds:
                while await read(rounds):
                    pass
                continue
            work.set()  # the read failed, and its pause is over: try again

    async def _read(self, rounds: Rounds) -> bool:
        turns = [self._turns[number] for number in range(min(self._per_read, len(self._turns)))]
        if not turns:
            return False
        try:
            rows = {row.turn_id: row for row in await self._heads.load_turns([turn.turn_id for turn in turns])}
        except Exception as error:
            if not self._narrow(turns, error, rounds):
                raise
            return True
        self._per_read, self._slow = min(2 * self._per_read, _TURNS_PER_READ), 0
        self._reads += 1
        for _ in turns:
            self._slow_alone.pop(self._turns.popleft().turn_id, None)
        later: list[Turn] = []
        for turn in turns:
            row = rows.get(turn.turn_id)
            if row is None or row.fault or row.events is not None:
                self._enter(turn, row, rounds)
            elif row.size_bytes > self._heads.load_size_bytes_max:
                self.large.append((turn, row.size_bytes))
                self._large_work.set()
            else:
                later.append(turn)
        self._turns.extendleft(reversed(later))
        return True

    def _narrow(self, turns: list[Turn], error: Exception, rounds: Rounds) -> bool:
        """After a failed read: whether to read on at once, with other turns. False: read the same later."""
        fault = fault_of(error)
        if fault in (Fault.AWAY, Fault.END):
            return False
        if fault is Fault.SLOW and not self._is_too_slow(turns):
            return False
        rounds.say(error, turns=len(turns))
        self._slow = 0
        if len(turns) > 1:
            self._per_read = len(turns) // 2
        else:
            self._give_up(self._turns.popleft(), error, rounds)
        return True

    def _is_too_slow(self, turns: list[Turn]) -> bool:
        """Whether a read was too slow so often that it is not tried again. A turn that is read alone goes behind the
        others for its next try.
        """
        if len(turns) > 1:
            self._slow += 1
            return self._slow >= _SLOW_MAX
        turn_id = turns[0].turn_id
        failures, reads = self._slow_alone.pop(turn_id, (0, self._reads))
        if failures + 1 >= _SLOW_ALONE_MAX and self._reads > reads:
            return True
        self._slow_alone[turn_id] = failures + 1, reads
        self._turns.rotate(-1)
        return False

    async def _read_large(self, rounds: Rounds) -> bool:
        if not self.large:
            return False
        turn, size_bytes = self.large[0]
        if size_bytes > self._history_size_bytes_max:
            self.large.popleft()
            self._then.after_unreadable(turn, too_large(size_bytes, self._history_size_bytes_max))
            return True
        loaded = self._scheduler.loaded_size_bytes
        if loaded and loaded + size_bytes > self._loaded_size_bytes_max:
            return False  # wait until a running turn has left memory
        row = None
        try:
            if turn.is_live and not turn.has_ended:
                row = await self._heads.load_whole(turn.turn_id)
        except Exception as error:
            fault = fault_of(error)
            if fault in (Fault.AWAY, Fault.END, Fault.SLOW):
                self.large.rotate(-1)  # let the others go first
                raise
            self.large.popleft()
            self._give_up(turn, error, rounds)
            return True
        self.large.popleft()
        self._enter(turn, row, rounds)
        return True

    def _enter(self, turn: Turn, row: LoadedTurn | None, rounds: Rounds) -> None:
        """Begin a turn whose row was read. When that fails, this turn alone is given up, and the others go on."""
        try:
            if row is not None and row.fault:
                self._then.after_unreadable(turn, unopened(row.fault))
                return
            if row is not None:
                fill(turn, row)
            else:
                turn.refuse()
            self._then.after_load(turn)
        except Exception as error:
            if fault_of(error) is Fault.END:
                raise
            self._give_up(turn, error, rounds)

    def _give_up(self, turn: Turn, error: Exception, rounds: Rounds) -> None:
        rounds.say(error, turn_id=str(turn.turn_id))
        try:
            self._then.after_unreadable(turn, unreadable(error))
        except Exception as another:  # a bug: this turn keeps its slot, and the others go on
            rounds.say(another, turn_id=str(turn.turn_id))


def too_large(size_bytes: int, bound: int) -> Unreadable:
    return Unreadable(
        "history_too_large",
        f"its events and unread signals have {size_bytes} bytes, the bound is HISTORY_SIZE_BYTES_MAX={bound}: raise it "
        "at the workers and resume the turn, or cancel it",
    )


def unopened(fault: str) -> Unreadable:
    return Unreadable(
        "payload_unreadable",
        f"{fault}. Nothing of the turn was run: resume it once its key is back, or cancel it",
    )


def unreadable(error: Exception) -> Unreadable:
    return Unreadable(
        "unreadable",
        f"the turn's history cannot be read ({type(error).__name__}: {error}"[:_WORDS_MAX] + "). Nothing of it was "
        "run: find out what is wrong with it in Postgres, then resume it, or cancel it",
    )
