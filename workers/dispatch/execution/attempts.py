"""Attempts of turns: how the code of one begins, and what the turn becomes when it has ended."""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial

from argosy.errors import InternalError, OwnershipLostError
from argosy.workers.dispatch.execution import turn_change
from argosy.workers.dispatch.execution.journal import TurnJournal
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.definition import Workflow
from argosy.workflow.execute import Execution
from argosy.workflow.step_runner import Bounds
from argosy.workflow.threads import Threads


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
        # Of the worker: a turn has no context variables of whoever makes room for it, which may be another turn.
        self._variables = copy_context()

    def begin(self, turn: Turn, definition: Workflow, journal: TurnJournal) -> None:
        """The code begins with the next pass of the loop; or once the start is durable, if that is awaited."""
        execution = turn.execution = Execution(self._threads, self._bounds, partial(self._ended, turn))
        begin = partial(self._begin, turn, execution, definition, journal)
        loop = asyncio.get_running_loop()
        if turn.awaits_start:
            task = loop.create_task(self._begin_when_written(turn, begin), context=self._variables)
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
        else:
            loop.call_soon(begin, context=self._variables)

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
            turn_change.stopped(turn)
        except Exception as bug:
            self._on_bug(turn, bug)
            return
        if turn.is_live and turn.stop not in (Stop.DROP, Stop.SUSPEND, Stop.HANDOVER):
            self._flusher.add(turn)
