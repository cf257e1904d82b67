"""Attempts of turns: begins the code of each, and decides what the turn becomes when its code has ended."""

import asyncio
from collections import deque
from contextvars import copy_context
from typing import Final

from argosy.config import Settings
from argosy.errors import FencedError, InternalError, OwnershipLostError
from argosy.workers.dispatch import turn_times
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.execution import turn_change
from argosy.workers.dispatch.execution.around import Around
from argosy.workers.dispatch.execution.executed import AfterAttempt, Followers
from argosy.workers.dispatch.execution.journal import TurnJournal
from argosy.workers.dispatch.execution.limits import limits_of
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.definition import Workflow
from argosy.workflow.execute import Execution
from argosy.workflow.graphs import LaneGraphs
from argosy.workflow.step_runner import Bounds
from argosy.workflow.threads import Threads

# A turn that is stopped for one of these writes nothing when its code has ended.
_WRITES_NOTHING: Final = frozenset({Stop.DROP, Stop.SUSPEND, Stop.HANDOVER})


class Attempt:
    """One attempt of a turn."""

    __slots__ = ("_flusher", "_then", "_turn")

    def __init__(self, turn: Turn, flusher: Flusher, then: AfterAttempt) -> None:
        self._turn = turn
        self._flusher = flusher
        self._then = then

    def after_code(self, result: bytes | None, error: BaseException | None) -> None:
        """Nothing of the turn's code runs any more: decide what the turn becomes, and write it."""
        turn = self._turn
        try:
            if isinstance(error, InternalError | FencedError):
                raise error
            if turn.stop is None:
                turn_change.come_to(turn, result, error)
            if turn.stop is not None:
                turn_change.stopped(turn)
        except Exception as bug:
            self._then.after_bug(turn, bug)
            return
        if turn.is_live and turn.stop not in _WRITES_NOTHING:
            self._flusher.add(turn)


class Attempts:
    """Opens and begins attempts. then: told when Argosy's code, not the user's, fails with a turn. graphs: None when
    the worker knows no shards.
    """

    def __init__(
        self,
        flusher: Flusher,
        threads: Threads,
        followers: Followers,
        database_clock: DatabaseClock,
        settings: Settings,
        then: AfterAttempt,
        graphs: LaneGraphs | None = None,
    ) -> None:
        self._flusher = flusher
        self._threads = threads
        self._database_clock = database_clock
        self._followers = followers
        limits = limits_of(settings)
        self._around = Around(flusher, database_clock, limits, followers, settings.lane, graphs)
        self._bounds = Bounds(
            limits.payload_size_bytes_max, limits.step_timeout_s_max, limits.callbacks_max, limits.graph_retry_s_max
        )
        self._then = then
        self._starting: set[asyncio.Task[None]] = set()
        self._waiting: deque[tuple[Turn, Execution, Workflow, TurnJournal]] = deque()
        # Of the worker: a turn must not inherit context variables of what made room for it, maybe another turn's code.
        self._variables = copy_context()

    def start(self, turn: Turn, version: str | None) -> None:
        """Begin the turn, or let it go on: turn_change.start."""
        turn_times.goes_on(turn, self._database_clock.now_s())
        turn_change.start(turn, version)

    def open(self, turn: Turn) -> TurnJournal:
        """Give the turn the journal of a new attempt, and return it."""
        journal = TurnJournal(turn, self._around)
        turn.run_by(journal)
        return journal

    def begin(self, turn: Turn, definition: Workflow, journal: TurnJournal) -> None:
        """Write the turn's start, soon if anybody follows the turn. Begin its code in the next pass of the loop, or, if
        turn.awaits_start, once its start is durable.
        """
        if self._followers.subscribers.count and self._followers.is_followed(turn):
            self._flusher.add(turn)
        else:
            self._flusher.add_lazily(turn)
        execution = Execution(self._threads, self._bounds, Attempt(turn, self._flusher, self._then))
        turn.run_as(execution)
        if turn.awaits_start:
            starting = self._begin_when_written(turn, execution, definition, journal)
            task = asyncio.get_running_loop().create_task(starting, context=self._variables)
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
            return
        self._waiting.append((turn, execution, definition, journal))
        if len(self._waiting) == 1:
            self._begin_soon()

    def _begin_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._begin_waiting, context=self._variables)

    def _begin_waiting(self) -> None:
        """Begin all that wait, in one pass of the loop."""
        waiting = self._waiting
        try:
            for _ in range(len(waiting)):
                try:
                    self._begin(*waiting[0])
                finally:
                    waiting.popleft()
        finally:  # Ctrl-C may leave the loop from here, and the loop may run on
            if waiting:
                self._begin_soon()

    async def _begin_when_written(
        self, turn: Turn, execution: Execution, definition: Workflow, journal: TurnJournal
    ) -> None:
        try:
            await self._flusher.durable(turn)
        except OwnershipLostError:
            turn.stop_as(Stop.DROP)
            return
        self._begin(turn, execution, definition, journal)

    def _begin(self, turn: Turn, execution: Execution, definition: Workflow, journal: TurnJournal) -> None:
        try:
            execution.begin(definition, journal, turn.input or b"null")
        except Exception as bug:
            self._then.after_bug(turn, bug)
