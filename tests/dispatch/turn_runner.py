"""Turns that run in an executor whose flushes are durable at once."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest

from argosy.config import load
from argosy.turn.projection import shown
from argosy.turn.status import Status
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.execution.admission import Admission
from argosy.workers.dispatch.execution.around import lane_graphs
from argosy.workers.dispatch.execution.attempts import Attempts
from argosy.workers.dispatch.execution.cancels import Cancels
from argosy.workers.dispatch.execution.executor import Executor
from argosy.workers.dispatch.execution.trials import Trials
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.scheduling.histories import unreadable
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.signals import Signal, Signals
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.definition import Workflow
from argosy.workflow.threads import make_threads
from tests.harness.hand_clock import HandClock

SETTINGS: Final = {
    "flush_queue_max": 100, "payload_size_bytes_max": 10_000, "step_timeout_s_max": 60, "events_per_turn_max": 1_000,
    "history_size_bytes_max": 10**7, "emit_size_bytes_max": 1_000, "channels_size_bytes_max": 20_000,
    "channels_per_turn_max": 16, "suspect_watch_s_max": 120.0,
}  # fmt: skip


class FlusherStub:
    """Everything is durable at once, and stays in turn.events."""

    waiting = 0
    is_full = False

    def add(self, turn: Turn) -> None:
        turn.durable_seq = turn.seq

    add_lazily = add

    def durable(self, turn: Turn) -> asyncio.Future[None]:
        self.add(turn)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def is_word_old(self, owned: Owned) -> bool:
        return False


class Then:
    """What follows when a turn is to be read; nothing follows from anything else."""

    def __init__(self, runner: "Runner") -> None:
        self._runner = runner

    def after_pick(self, turn: Turn) -> None:
        self._runner.executor.begin(turn)

    def after_failed_start(self, turn: Turn, error: Exception) -> None:
        self._runner.executor.set_aside(turn, unreadable(error))

    def after_bug(self, turn: Turn, bug: Exception) -> None:
        self._runner.executor.broken_off(turn)

    def after_misreading(self, turn: Turn) -> None: ...

    def after_deferral(self, turn: Turn) -> None: ...

    def after_freeing(self) -> None: ...

    def after_lack(self, turn: Turn) -> None: ...


class Runner:
    """Runs turns of one workflow, one after the other."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        is_async: bool = True,
        slots: int = 8,
        cancel_cleanup_s: float = 30.0,
        graphs: Any = None,
    ) -> None:
        definition = Workflow("flow", "1", "", function, is_async, False, False)
        self.asked: list[Turn] = []
        self.has_listener = False
        self.subscribers = SimpleNamespace(count=1)
        self.clock = HandClock(1_000.0)
        self.threads = make_threads(steps=2, workflows=8, abandoned_max=4)
        self.scheduler = Scheduler(8)

        class Found:
            def get(self, name: str, version: str | None) -> Workflow:
                return definition

        flusher: Any = FlusherStub()
        clock, then = DatabaseClock(self.clock), Then(self)
        settings = load({}).model_copy(
            update=SETTINGS | {"dispatch_slots": slots, "cancel_cleanup_s": cancel_cleanup_s}
        )
        admission = Admission(flusher, Trials(flusher, clock, settings, then), settings)
        self.executor = Executor(
            self.scheduler,
            flusher,
            Found(),  # type: ignore[arg-type]
            admission,
            Cancels(self.scheduler, flusher, admission, clock, settings),
            Attempts(flusher, self.threads, self, clock, settings, then, lane_graphs(graphs, None, settings)),
            then,
        )

    def is_followed(self, turn: Turn) -> bool:
        return False

    def listener_of(self, turn: Turn) -> Callable[[], None] | None:
        assert turn.emitter is not None
        self.asked.append(turn)
        return (lambda: None) if self.has_listener else None

    async def begin(
        self,
        before: Turn | None = None,
        status: Status = Status.QUEUED,
        resume: Resume = Resume.CRASHED,
        signals: tuple[str, ...] = (),
        until: int = 10**9,
    ) -> Turn:
        """The turn after its first run, or as somebody else had it before (its events up to a seq)."""
        owned = Owned(0, epoch=1, buckets=(0, 1023))
        owned.is_open = True
        history = [] if before is None else [row for row in (*before.history, *before.events) if row[0] <= until]
        turn = Turn(
            owned=owned,
            turn_id=uuid.uuid4() if before is None else before.turn_id,
            tenant="a",
            session_id=uuid.uuid4(),
            session_name="s",
            bucket=0,
            place=1,
            workflow="flow",
            priority=0,
            input=b"null",
            status=status,
            attempt=0 if before is None else before.attempt,
            seq=history[-1][0] if history else 0,
            version="1",
        )
        turn.history = [(seq, attempt, str(kind), key, data) for seq, attempt, kind, key, data in history]
        turn.resume = resume
        turn.waits = before.waits if before is not None and status is Status.SUSPENDED else None
        turn.signals = Signals(Signal(uuid.uuid4(), name, b"1") for name in signals)
        self.scheduler.found(turn)
        self.executor.fill()
        return turn

    async def run(self, *args: Any, **kwargs: Any) -> Turn:
        turn = await self.begin(*args, **kwargs)
        assert turn.execution is not None
        await until_over(turn)
        return turn


async def until_over(*turns: Turn) -> None:
    """Nothing of their code runs any more."""
    for turn in turns:
        await until(lambda turn=turn: turn.execution is None or turn.execution.has_ended)  # type: ignore[misc]


@pytest.fixture
async def runner(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[Callable[..., Any]], Runner]]:
    runners: list[Runner] = []

    def make(function: Callable[..., Any], **options: Any) -> Runner:
        runners.append(Runner(function, **options))
        return runners[-1]

    yield make
    for each in runners:
        each.threads.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 — what it waits for has no event
            await asyncio.sleep(0)


def opened(turn: Turn) -> int:
    """How many channels who looks now finds open."""
    if turn.channels is None and turn.emitter is not None:
        turn.emitter.look()
    return 0 if turn.channels is None else len(turn.channels.open())


def told(turn: Turn) -> list[tuple[str, str, Any]]:
    """(type, key, data) of the events written here."""
    return [(str(kind), key, msgspec.json.decode(data)) for _seq, _attempt, kind, key, data in turn.events]


def data_of(turn: Turn, kind: str) -> Any:
    found = next(data for each, _key, data in reversed(told(turn)) if each == kind)
    found.pop("took_ms", None)
    return found


def everything_shown(turn: Turn) -> str:
    """All that a client may be told of a turn."""
    events = [shown(str(kind), key, data) for _seq, _attempt, kind, key, data in (*turn.history, *turn.events)]
    return repr(events) + repr(turn.error)
