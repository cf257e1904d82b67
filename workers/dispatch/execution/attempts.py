"""Attempts of turns: how the code of one begins, and what the turn becomes when it has ended."""

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

# A turn that is ended for these writes nothing here when its code has ended.
_WRITES_NOTHING: Final = frozenset({Stop.DROP, Stop.SUSPEND, Stop.HANDOVER})


class Attempts:
    """on_bug(turn, error): something of ours went wrong with it."""

    def __init__(
        self, flusher: Flusher, threads: Threads, bounds: Bounds, on_bug: Callable[[Turn, Exception], None]
    ) -> None:
        self._flusher = flusher
        self._threads = threads
        self._bounds = bounds
        self._on_bug = on_bug
        self._starting: set[asyncio.Task[None]] = set()
        self._waiting: deque[Callable[[], None]] = deque()
        # Of the worker: a turn has no context variables of whoever makes room for it, which may be another turn.
        self._variables = copy_context()

    def begin(self, turn: Turn, definition: Workflow, journal: TurnJournal) -> None:
        """The code begins with the next pass of the loop; or once the start is durable, if that is awaited."""
        execution = turn.execution = Execution(self._threads, self._bounds, partial(self._ended, turn))
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
        """All that came together begin in one pass of the loop."""
        waiting = self._waiting
        try:
            for _ in range(len(waiting)):
                try:
                    waiting[0]()
                finally:
                    waiting.popleft()
        finally:  # Ctrl-C leaves the loop from anywhere, and it may go on
            if waiting:
                self._begin_soon()

    async def _begin_when_written(self, turn: Turn, begin: Callable[[], None]) -> None:
        try:
            await self._flusher.durable(turn)
        except OwnershipLostError:
            turn.stop = turn.stop or Stop.DROP
            return
        begin()

    def _begin(self, turn: Turn, execution: Execution, definition: Workflow, journal: TurnJournal) -> None:
        try:
            execution.begin(definition, journal, turn.input or b"null")
        except Exception as bug:
            self._on_bug(turn, bug)

    def _ended(self, turn: Turn, result: bytes | None, error: BaseException | None) -> None:
        """Nothing of the turn's code runs any more."""
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
