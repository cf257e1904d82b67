"""Starts parts of a fleet again when they end by themselves: child processes, and tasks on this event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from argosy.clock import Clock
from argosy.local.child import Child
from argosy.process.stopping import Stopping

_LOOK_S: Final = 0.2  # how late an end is seen
_RESTART_S_MIN: Final = 0.5  # what ended once mostly comes up again
RESTART_S_MAX: Final = 10.0  # a part that never comes up says so six times a minute
_RESTART_FORGIVEN_S: Final = 60.0  # it ran well for that long: its end is a new one


class Ended(NamedTuple):
    """How a part ended by itself. code: the exit code of a process; error: what a task raised."""

    reason: str
    code: int | None = None
    error: BaseException | None = None


class Part(Protocol):
    """Something that runs until it is stopped."""

    @property
    def label(self) -> str:
        """What messages call the part."""

    def start(self) -> None:
        """Start the part, also after it has ended."""

    def ended(self) -> Ended | None:
        """Return how the part ended, or None while it runs."""


class ProcessPart:
    """A part that is a process of Argosy. environment: None inherits this process's."""

    def __init__(self, label: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.label = label
        self._command = command
        self._environment = environment
        self._child: Child | None = None

    def start(self) -> None:
        self._child = Child.start(self.label, self._command, environment=self._environment)

    def ended(self) -> Ended | None:
        code = None if self._child is None else self._child.poll()
        return None if code is None else Ended(f"exit code {code}", code)

    def terminate(self) -> None:
        """Ask the process to end, and return at once."""
        if self._child is not None:
            self._child.terminate()

    def stop(self, within_s: float) -> None:
        """Ask the process to end, and kill it after within_s seconds."""
        if self._child is not None:
            self._child.stop(within_s)


class TaskPart:
    """A part that is a task on this event loop. It runs until the event that `run` gets is set."""

    def __init__(self, label: str, run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        self.label = label
        self._run = run
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        await self._run(self._stopping)

    def ended(self) -> Ended | None:
        if self._task is None or not self._task.done():
            return None
        error = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
        return Ended(str(error or "it ended by itself"), error=error)

    async def stop(self) -> None:
        """Set the event, and wait for the task's end."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class _Kept:
    """A part with its last start, and when the next is due."""

    def __init__(self, part: Part, now_s: float) -> None:
        self.part = part
        self.started_at_s = now_s
        self.delay_s: float | None = None
        self.due_at_s: float | None = None


class Reporter(Protocol):
    """Who says to people what a supervisor does."""

    def say_ended(self, part: Part, ended: Ended, delay_s: float) -> None:
        """Say how a part has ended, and that it is started again in delay_s seconds."""


class Supervisor:
    """Starts parts, and starts those again that end by themselves, after a pause that grows up to delay_s_max when that
    happens often. `watch`, or `watch_on_loop`, looks at them until it is told to stop. Stopping a part is for its
    owner, after `forget`.
    """

    def __init__(self, clock: Clock, reporter: Reporter, *, delay_s_max: float = RESTART_S_MAX) -> None:
        self._clock = clock
        self._reporter = reporter
        self._delay_s_max = delay_s_max
        self._kept: list[_Kept] = []

    def start(self, part: Part) -> None:
        """Start the part and keep it running."""
        part.start()
        self._kept.append(_Kept(part, self._clock.monotonic_s()))

    def forget(self, part: Part) -> None:
        """Do not start the part again."""
        self._kept = [each for each in self._kept if each.part is not part]

    def first_ended(self) -> tuple[Part, Ended] | None:
        """Return a part that has ended by itself, and how; None when all of them run."""
        for each in self._kept:
            if (ended := each.part.ended()) is not None:
                return each.part, ended
        return None

    def look(self) -> None:
        """Find the parts that have ended, and start those whose pause is over."""
        now_s = self._clock.monotonic_s()
        for each in list(self._kept):
            if each.due_at_s is not None:
                if now_s >= each.due_at_s:
                    each.part.start()
                    each.started_at_s, each.due_at_s = now_s, None
            elif (ended := each.part.ended()) is not None:
                delay_s = restart_delay_s(each.delay_s, now_s - each.started_at_s, self._delay_s_max)
                each.delay_s, each.due_at_s = delay_s, now_s + delay_s
                self._reporter.say_ended(each.part, ended, delay_s)

    def watch(self, stopping: Stopping, look_too: Callable[[], None] = lambda: None) -> None:
        """Look at the parts until stopping is set, in this thread. look_too: called each time; what it raises ends the
        watch.
        """
        while not stopping.wait(_LOOK_S):
            look_too()
            self.look()

    async def watch_on_loop(self) -> None:
        """Look at the parts until this task is cancelled."""
        while True:
            await self._clock.sleep(_LOOK_S)
            self.look()


def restart_delay_s(previous_s: float | None, lived_s: float, delay_s_max: float = RESTART_S_MAX) -> float:
    """Return how long to wait before a child that ended is started again: 0.5 s at first, doubled each time up to
    delay_s_max.
    previous_s: the wait before its last start; None when that was the first start. lived_s: from that start to its end;
    after 60 s the waits begin at 0.5 s again.
    """
    if previous_s is None or lived_s >= _RESTART_FORGIVEN_S:
        return _RESTART_S_MIN
    return min(previous_s * 2, delay_s_max)
