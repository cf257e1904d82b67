"""The operations of one attempt: what its code waits for, how each begins, and how its outcome comes to the code.

argosy/workflow/driver.py decides what comes next, and states the rules.
"""

import asyncio
from asyncio.events import AbstractEventLoop, _get_running_loop
from collections import deque
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, Protocol

from argosy.errors import FencedError, OwnershipLostError, WorkflowError
from argosy.turn.events import Event
from argosy.turn.keys import CANCEL, retry_key, step_key
from argosy.turn.wait import WaitKind
from argosy.workflow import outcome, payload
from argosy.workflow.journal import Journal, Park
from argosy.workflow.mismatch import EFFECT, OUTCOME, asks_for, mismatch, other_arguments
from argosy.workflow.operation import Operation, StepOperation, ValueOperation, WaitOperation
from argosy.workflow.replay import Recorded
from argosy.workflow.root_task import RootTask
from argosy.workflow.step_runner import StepRunner, Tried
from argosy.workflow.turn_loop import TurnLoop

_NONE: Final[set[Any]] = set()  # shared by most attempts, so nothing is ever added to it


class Driving(Protocol):
    """What Operations asks of the driver."""

    def advance(self) -> None:
        """Go on: an outcome came."""

    def end(self, error: BaseException) -> None:
        """End the attempt: it cannot go on."""


class Operations:
    """The operations of one attempt.

    is_closed: the attempt's code has ended. pending: the operations that the code waits for; unstarted: those of them
    that have not begun; arrived: the outcomes of tries, in the order in which the tries ended; tries_running: how many
    tries run for which the code waits.
    """

    __slots__ = (
        "_asked",
        "_driver",
        "_given_up",
        "_journal",
        "_loop",
        "_replay",
        "_runner",
        "_worker_loop",
        "arrived",
        "is_closed",
        "pending",
        "tries_running",
        "unstarted",
    )

    def __init__(
        self, driver: Driving, journal: Journal, runner: StepRunner, loop: TurnLoop, worker_loop: AbstractEventLoop
    ) -> None:
        self.is_closed = False
        self._driver: Driving | None = driver
        self._journal, self._replay, self._runner = journal, journal.replay, runner
        self._loop, self._worker_loop = loop, worker_loop
        self.pending: dict[str, Operation] = {}  # in the order in which the code asked
        self.unstarted: deque[Operation] = deque()
        # The keys of all operations that the code ever asked for: those not pending were delivered or given up.
        self._asked: set[str] = set()
        self.arrived: deque[tuple[StepOperation, Tried]] = deque()
        self.tries_running = 0
        self._given_up: set[asyncio.Task[None]] = _NONE  # tries for which the code no longer waits

    def begin(self, operation: Operation) -> "RootTask | asyncio.Future[None]":
        """Take up an operation that the code awaits; return what waits for it: the turn's first task, or a future."""
        if operation.__class__ is StepOperation:
            args, kwargs = operation.args, operation.kwargs
            if args or kwargs:
                operation.digest = payload.digest(args, kwargs)
            if not self._replay.is_settled(operation.key):
                if args or kwargs:
                    operation.args, operation.kwargs = payload.copied(args, kwargs)
                operation.context = copy_context()
            if operation.step.is_private:
                self._journal.hide(operation.key)
        self.add(operation)
        root = self._loop.root
        return root if root is not None and root.is_running else asyncio.Future(loop=self._loop)

    def add(self, operation: Operation) -> None:
        """Add an operation, or a timer of the turn's loop. It begins when all of history is delivered."""
        self.pending[operation.key] = operation
        self._asked.add(operation.key)
        self.unstarted.append(operation)

    def start_next(self) -> bool:
        """Begin what the code asked for, up to an operation that is settled at once. True: there was one."""
        if self._replay.begun:
            self._check_begun()
        while self.unstarted:
            if self._start(self.unstarted.popleft()):
                return True
        return False

    def deliver_recorded(self, key: str) -> None:
        """Deliver the next outcome of history, which has this key. Raises Park when the code has not asked for it."""
        operation = self.pending.get(key)
        if operation is not None:
            self._deliver(operation, self._replay.take())
        elif key in self._asked:
            self._replay.take()
        elif (old := self._replay.old) is not None and (timer := old.timer(key, self.pending.values())) is not None:
            self._settle(timer)
        else:
            raise self.mismatch(key)

    def deliver_arrived(self) -> bool:
        """Record and deliver the oldest outcome of a try, or else of a wait. False: none came."""
        if self.arrived:
            self._settle_try(*self.arrived.popleft())
        elif (over := self._journal.next_over()) is not None:
            self._settle_wait(*over)
        else:
            return False
        return True

    def pass_over_rest(self, ended: str) -> None:
        """Skip the outcomes that history still has when the code has ended. Raises Park for one never asked for."""
        while (key := self._replay.next) is not None:
            if key not in self._asked and key != CANCEL:
                raise self.mismatch(key, ended)
            self._replay.take()
        self._check_begun(ended)

    def end_timer(self, key: str) -> None:
        """Give up a timer that the code has cancelled."""
        if (operation := self.pending.get(key)) is not None:
            self.give_up(operation)

    def give_up(self, operation: Operation) -> None:
        """Give up an operation for which the code no longer waits; does nothing when it was settled."""
        if not self._is_awaited(operation):
            return
        del self.pending[operation.key]
        if not operation.is_started:
            return
        if isinstance(operation, StepOperation):
            if operation.wait_key:
                self._journal.end_wait(operation.wait_key)
            elif (task := operation.task) is not None:
                operation.is_ended, operation.task = True, None
                task.cancel()
                self.tries_running -= 1
                self._given_up = self._given_up or set()
                self._given_up.add(task)
                task.add_done_callback(self._given_up.discard)
            self._journal.record(Event.STEP_CANCELLED, operation.key, outcome.extended(b"{}", operation.step.mark))
        else:
            self._journal.end_wait(operation.key)
            if operation.timer is None:
                self._journal.record(Event.WAIT_CANCELLED, operation.key, b"{}")

    def close(self) -> set[asyncio.Task[None]]:
        """Cancel the tries that run, and return those that have not ended yet."""
        self._driver = None  # breaks the cycle with the driver
        if not (self.pending or self.unstarted or self._given_up):
            return _NONE
        left, self._given_up = set(self._given_up), _NONE
        for operation in self.pending.values():
            if isinstance(operation, StepOperation):
                if operation.task is not None:
                    left.add(operation.task)
                operation.is_ended, operation.task = True, None
            operation.let_go()
        self.pending.clear()
        self.unstarted.clear()
        self.tries_running = 0
        for task in left:
            task.cancel()
        return left

    def mismatch(self, key: str, instead: str = "", recorded: str = OUTCOME) -> Park:
        return mismatch(recorded.format(self._name_of(key)), instead or asks_for([*map(self._name_of, self.pending)]))

    # Inside

    def _name_of(self, key: str) -> str:
        return "a private step" if self._journal.is_hidden(key) or self._replay.is_private(key) else repr(key)

    def _check_begun(self, ended: str = "") -> None:
        if (key := self._replay.lacking(self._asked)) is not None:
            raise self.mismatch(key, ended, EFFECT)

    def _is_awaited(self, operation: Operation) -> bool:
        return not self.is_closed and self.pending.get(operation.key) is operation

    def _start(self, operation: Operation) -> bool:
        """Begin an operation. True: it was settled at once."""
        if self.pending.get(operation.key) is not operation:
            return False  # it was given up before it began
        operation.is_started = True
        if operation.__class__ is StepOperation:
            if operation.step.policy.is_at_most_once:
                self._runner.check_certain(operation)
            failures = self._replay.failures(operation.key)
            pause = self._runner.take_up(operation, failures) if failures else None
            if pause is None or self._replay.is_settled(retry_key(operation.key, operation.tries)):
                self._try(operation)
            else:
                self._wait_again(operation, *pause)
        elif isinstance(operation, WaitOperation):
            timeout_s, old = operation.timeout_s, self._replay.old
            if old is not None and not self._replay.is_started(operation.key):
                timeout_s = old.left_s(operation.key, timeout_s, self._asked, self._journal.take_timer)
            self._journal.begin_wait(operation.key, operation.kind, operation.name, timeout_s)
        elif isinstance(operation, ValueOperation):
            value = operation.make()
            self._journal.record(Event.VALUE_RECORDED, operation.key, outcome.value(value))
            self._settle(operation, value)
            return True
        return False

    def _try(self, operation: StepOperation) -> None:
        operation.task = self._worker_loop.create_task(self._tried(operation), context=operation.context)
        self.tries_running += 1

    async def _tried(self, operation: StepOperation) -> None:
        """Run one try, and note its outcome."""
        arrived: Tried | None = None
        try:
            arrived = await self._runner.run(operation)
        except (Park, OwnershipLostError, FencedError, WorkflowError) as error:
            if self._driver is not None and self._is_awaited(operation) and not self._journal.is_stopped:
                self._driver.end(error)
        except GeneratorExit:
            arrived = self._runner.unheard.get(operation.key)
            if arrived is None or _get_running_loop() is None:
                raise
        except asyncio.CancelledError:
            if not operation.is_ended:
                raise
            # Swallowed, so that the task does not keep an error whose traceback refers to this frame.
        finally:
            if self._runner.unheard:
                self._runner.unheard.pop(operation.key, None)
            if operation.task is not None:
                self.tries_running -= 1
                operation.task = None
            if arrived is not None and not self._is_awaited(operation):
                arrived = None
            if arrived is not None and self._journal.is_stopped:
                with suppress(OwnershipLostError, asyncio.CancelledError):  # for the worker that has the turn now
                    self._journal.record(arrived.event, operation.key, arrived.data)
                arrived = None
            self._journal.left(operation.key)
        if arrived is not None and self._driver is not None:
            self.arrived.append((operation, arrived))
            self._driver.advance()

    def _deliver(self, operation: Operation, found: Recorded) -> None:
        if operation.__class__ is StepOperation:
            now = operation.digest or ("" if operation.args or operation.kwargs else "none")
            if (recorded := outcome.digest_of(found.data)) and now and recorded != now:
                raise other_arguments(self._name_of(operation.key), recorded, now)
        error = outcome.error_of(found, operation.key)
        self._settle(operation, outcome.value_of(found) if error is None else None, error)

    def _settle_try(self, operation: StepOperation, tried: Tried) -> None:
        if self.pending.get(operation.key) is not operation:
            return
        operation.tries, operation.tries_away = operation.tries + 1, operation.tries_away + tried.is_away
        self._journal.record(tried.event, operation.key, tried.data)
        if tried.event is Event.STEP_RETRYING:
            self._wait_again(operation, tried.delay_s, tried.shard)
        elif tried.event is Event.STEP_COMPLETED:
            self._settle(operation, tried.value)
        else:
            self._deliver(operation, Recorded(tried.event, tried.data))

    def _settle_wait(self, key: str, found: Recorded) -> None:
        if (operation := self.pending.get(key)) is not None:
            self._deliver(operation, found)
        elif isinstance(again := self.pending.get(step_key(key)), StepOperation) and again.wait_key == key:
            again.wait_key = ""
            self._try(again)

    def _settle(self, operation: Operation, value: Any = None, error: BaseException | None = None) -> None:
        del self.pending[operation.key]
        if operation.timer is not None:
            self._loop.fire(operation.timer)
        else:
            operation.settle(value, error)

    def _wait_again(self, operation: StepOperation, delay_s: float, shard: str) -> None:
        operation.wait_key = retry_key(operation.key, operation.tries)
        self._journal.begin_wait(operation.wait_key, WaitKind.RETRY, shard, delay_s)
