"""`ctx`: the durable operations of a workflow.

Each operation has a key: its name, and from its second call on #2, #3, … in the order of the *calls*, so that branches
under asyncio.gather keep theirs. Under its key its outcome is recorded once; when the workflow runs again the operation
returns (or raises) what is recorded and does nothing. A durable operation inside a step is refused.
"""

import asyncio
import math
import uuid as uuids
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar, overload

from argosy.errors import WorkflowError
from argosy.turn.events import Event
from argosy.workflow import outcome, payload
from argosy.workflow.current import current_try
from argosy.workflow.declared_name import check_signal_name
from argosy.workflow.definition import step_of
from argosy.workflow.journal import Journal, Recorded, WaitKind
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.step_runner import StepRunner

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

WAIT_S_MAX: Final = 366 * 86_400.0
_CLOSE_TIMEOUT_S: Final = 5.0


class Context:
    """One attempt of a turn, as its workflow sees it. Used from the event loop only."""

    __slots__ = ("_attempt", "_counts", "_journal", "_operations", "_runner")

    def __init__(self, journal: Journal, runner: StepRunner, attempt: OpenAttempt) -> None:
        self._journal = journal
        self._runner = runner
        self._attempt = attempt
        self._operations = attempt.operations
        self._counts: dict[str, int] = {}

    @property
    def turn_id(self) -> uuids.UUID:
        return self._journal.turn_id

    @property
    def session(self) -> str:
        """The name of the turn's session."""
        return self._journal.session

    @property
    def tenant(self) -> str:
        return self._journal.tenant

    @property
    def attempt(self) -> int:
        """From 1; grows with every re-execution. Not the same in a replay: do not branch on it."""
        return self._journal.attempt

    @overload
    def run(
        self, step: Callable[Parameters, Awaitable[Result]], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Coroutine[Any, Any, Result]: ...
    @overload
    def run(
        self, step: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Coroutine[Any, Any, Result]: ...
    def run(self, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Run a step (or an undecorated function, as a step with every default) and return its result as JSON gives it
        back: a tuple is a list. Synchronous steps run in a thread.

        Raises StepFailedError when it failed for good: its message is the error's, error_type the name of its class.
        """
        declared = step_of(step)
        key, found = self._ask(declared.name)
        if found is not None:
            return self._settled(key, found)
        return self._operate(key, self._runner.run, declared, step, key, args, kwargs)

    def sleep(self, delay_s: float) -> Coroutine[Any, Any, None]:
        """Wait delay_s seconds (0 to 366 days) by the database's clock; the turn holds no slot meanwhile."""
        delay_s = _check_wait_s("sleep", delay_s)
        return self._wait("sleep", "sleep", "", delay_s)

    def wait_signal(self, name: str, timeout_s: float | None = None) -> Coroutine[Any, Any, Any]:
        """The payload of the next signal `name` sent to this turn; one that came before is taken at once. The turn
        holds no slot meanwhile. timeout_s: 0 to 366 days; None: for ever. Raises WaitTimeoutError.
        """
        if timeout_s is not None:
            timeout_s = _check_wait_s("wait_signal", timeout_s)
        return self._wait(f"signal:{check_signal_name(name)}", "signal", name, timeout_s)

    def now(self) -> Coroutine[Any, Any, datetime]:
        """The time when this was first called, by the database's clock, in UTC."""
        return self._now(*self._ask("now"))

    def uuid(self) -> Coroutine[Any, Any, uuids.UUID]:
        """A random UUID (version 4), the same in every replay."""
        return self._uuid(*self._ask("uuid"))

    async def close(self) -> None:
        """The workflow has ended: nothing may start or be recorded any more. Stops what branches of it still run, and
        waits for them within a bound.
        """
        self._attempt.close()
        this = asyncio.current_task()
        left = {task for task in self._operations.values() if task is not None and task is not this}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_CLOSE_TIMEOUT_S)

    def _ask(self, name: str) -> tuple[str, Recorded | None]:
        """The key of this call of an operation, and its outcome when history has one."""
        if self._attempt.is_closed:
            raise asyncio.CancelledError("the workflow has ended")
        if current_try.get() is not None:
            raise WorkflowError(f"{name!r} was asked of ctx inside a step; durable operations belong in the workflow")
        count = self._counts[name] = self._counts.get(name, 0) + 1
        key = name if count == 1 else f"{name}#{count}"
        return key, self._journal.recorded(key)

    async def _operate(self, key: str, operation: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Do something new; `close` knows of it meanwhile."""
        self._operations[key] = asyncio.current_task()
        try:
            return await operation(*args)
        finally:
            del self._operations[key]
            self._journal.abandon(key)

    async def _settled(self, key: str, found: Recorded) -> Any:
        return outcome.value_of(found, key)

    def _wait(self, name: str, kind: WaitKind, signal: str, timeout_s: float | None) -> Coroutine[Any, Any, Any]:
        key, found = self._ask(name)
        if found is not None:
            return self._settled(key, found)
        return self._operate(key, self._receive, key, kind, signal, timeout_s)

    async def _receive(self, key: str, kind: WaitKind, signal: str, timeout_s: float | None) -> Any:
        received = await self._journal.wait(key, kind, signal, timeout_s)
        return None if received is None else payload.decode(received)

    async def _now(self, key: str, found: Recorded | None) -> datetime:
        def make() -> str:
            return datetime.fromtimestamp(self._journal.database_time_s(), UTC).isoformat()

        value = await (self._settled(key, found) if found is not None else self._operate(key, self._record, key, make))
        return datetime.fromisoformat(value)

    async def _uuid(self, key: str, found: Recorded | None) -> uuids.UUID:
        def make() -> str:
            return str(uuids.uuid4())

        value = await (self._settled(key, found) if found is not None else self._operate(key, self._record, key, make))
        return uuids.UUID(value)

    async def _record(self, key: str, make: Callable[[], str]) -> str:
        await self._journal.ready(key)
        value = make()
        self._journal.record(Event.VALUE_RECORDED, key, outcome.value(value))
        return value


def _check_wait_s(operation: str, wait_s: Any) -> float:
    is_number = isinstance(wait_s, (int, float)) and not isinstance(wait_s, bool)
    if not is_number or not math.isfinite(wait_s) or not 0 <= wait_s <= WAIT_S_MAX:
        raise WorkflowError(f"ctx.{operation} takes seconds from 0 to {WAIT_S_MAX:.0f}, not {wait_s!r:.80}")
    return float(wait_s)
