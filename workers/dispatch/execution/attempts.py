"""Attempts of turns: begins the code of each, and decides what the turn becomes when its code has ended."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Final

from argosy.errors import InternalError, OwnershipLostError
from argosy.workers.dispatch.execution import turn_change
from argosy.workers.dispatch.execution.journal import TurnJournal
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.definition import Workflow
from argosy.workflow.execute import Execution
from argosy.workflow.step_runner import Bounds
from argosy.workflow.threads import Threads

# A turn that is stopped for one of these writes nothing when its code has ended.
_WRITES_NOTHING: Final = frozenset({Stop.DROP, Stop.SUSPEND, Stop.HANDOVER})


class Attempts:
    """Begins and ends attempts. on_bug(turn, error): called when Argosy's code, not the user's, fails with a turn."""

    def __init__(
        self, flusher: Flusher, threads: Threads, bounds: Bounds, on_bug: Callable[[Turn, Exception], None]
    ) -> None:
        self._flusher = flusher
        self._threads = threads
        self._bounds = bounds
        self._on_bug = on_bug
        self._starting: set[asyncio.Task[None]] = set()
        self._waiting: deque[Callable[[], None]] = deque()
        # Of the worker: a turn must not inherit context variables of what made room for it, maybe another turn's code.
        self._variables = copy_context()

    def begin(self, turn: Turn, definition: Workflow, journal: TurnJournal) -> None:
        """Begin the turn's code in the next pass of the loop, or, if turn.awaits_start, once its start is durable."""
        execution = Execution(self._threads, self._bounds, partial(self._ended, turn))
        turn.run_as(execution)
        begin = partial(self._begin, turn, execution, definition, journal)
        if turn.awaits_start:
            starting = self._begin_when_written(turn, begin)
            task = asyncio.get_running_loop().create_task(starting, context=self._variables)
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
            return
        self._waiting.append(begin)
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
                    waiting[0]()
                finally:
                    waiting.popleft()
        finally:  # Ctrl-C may leave the loop from here, and the loop may run on
            if waiting:
                self._begin_soon()

    async def _begin_when_written(self, turn: Turn, begin: Callable[[], None]) -> None:
        try:
            await self._flusher.durable(turn)
        except OwnershipLostError:
            turn.stop_as(Stop.DROP)
            return
        begin()

    def _begin(self, turn: Turn, execution: Execution, definition: Workflow, journal: TurnJournal) -> None:
        try:
            execution.begin(definition, journal, turn.input or b"null")
        except Exception as bug:
            self._on_bug(turn, bug)

    def _ended(self, turn: Turn, result: bytes | None, error: BaseException | None) -> None:
        """Nothing of the turn's code runs any more: decide what the turn becomes, and write it."""
        try:
            if isinstance(error, InternalError):
                raise error
            if turn.stop is None:
                turn_change.come_to(turn, result, error)
            if turn.stop is not None:
                turn_change.stopped(turn)
        except Exception as bug:
            self._on_bug(turn, bug)
            return
        if turn.is_live and turn.stop not in _WRITES_NOTHING:
            self._flusher.add(turn)
