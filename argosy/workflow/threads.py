"""Threads for synchronous user code: steps, and workflows.

A thread cannot be stopped. When nobody waits for a call any more (its time-out passed, its turn was cancelled or lost)
the call goes on and is *abandoned*: another thread takes the place of its own, up to a bound, so that what hangs takes
nothing from others; beyond the bound it does, and that is said.

Not concurrent.futures: its threads cannot be replaced, it does not tell when a call that waited begins, and the
interpreter joins its threads at the end, also those that never come back.
"""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

import structlog

from argosy import telemetry
from argosy.errors import OwnershipLostError
from argosy.process import fork

log = structlog.get_logger()

_TOLD_AFTER_S: Final = 1.0  # what comes back that soon after it was given up was only late
_AGAIN_S: Final = 1.0  # the system may have room for another thread then


class Label(NamedTuple):
    """What a call belongs to. step_key: empty for a workflow."""

    turn_id: uuid.UUID
    step_key: str = ""


def _nothing() -> None:
    pass


class Job:
    """One call in a thread. `ended` has its result; on_begin: told when it begins, if that was not at once."""

    __slots__ = ("_unclaimed", "call", "ended", "is_abandoned", "label", "on_begin")

    def __init__(self, call: Callable[[], Any], label: Label, ended: "asyncio.Future[Any]") -> None:
        self.call = call
        self.label = label
        self.ended = ended
        self.on_begin: Callable[[], None] | None = None
        self.is_abandoned = False
        self._unclaimed = [True]

    def claim(self) -> bool:
        """True once: for the thread that runs it, or for whoever makes sure that none does."""
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False


class Pool:
    """Used on one event loop, but for what others may look at: abandoned, is_exhausted, waiting. size: threads for
    calls that somebody waits for. abandoned_max: further ones, in place of abandoned ones. idle_max: those kept.
    """

    def __init__(self, name: str, *, size: int, abandoned_max: int, idle_max: int) -> None:
        self._name = name
        self._size = size
        self._abandoned_max = abandoned_max
        self._idle_max = idle_max
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = 0
        # Calls that have not ended, abandoned ones among them; and those of them that no thread has taken yet.
        self._outstanding = 0
        self._waiting: dict[Job, None] = {}
        self._is_closed = False
        self._retry: asyncio.TimerHandle | None = None
        self.abandoned = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether abandoned calls hold every thread there may be."""
        return self.abandoned >= self._abandoned_max + self._size

    @property
    def waiting(self) -> list[uuid.UUID]:
        """The turns of calls that wait for a thread."""
        return [job.label.turn_id for job in list(self._waiting)]

    def submit(self, call: Callable[[], Any], label: Label, on_begin: Callable[[], None] | None = None) -> Job:
        """Run the call in a thread. on_begin: called when it begins, which may be at once.

        Raises OwnershipLostError: this process ends. Whoever does not wait for `ended` any more calls `give_up`.
        """
        if self._is_closed:
            raise OwnershipLostError("the worker is stopping")
        job = Job(call, label, asyncio.get_running_loop().create_future())
        self._outstanding += 1
        if self._outstanding <= self._capacity and self._grow():
            if on_begin is not None:
                on_begin()
        else:
            job.on_begin = on_begin or _nothing
            self._waiting[job] = None
            self._count_waiting()
        self._queue.put(job)
        return job

    def is_waiting(self, job: Job) -> bool:
        """Whether it waits for a thread."""
        return job in self._waiting

    def give_up(self, job: Job) -> None:
        """Nobody waits for it any more: it does not begin, or is abandoned."""
        job.ended.cancel()
        if job.claim():
            self._outstanding -= 1
            self._no_longer_waits(job)
            return
        job.is_abandoned = True
        self._count_abandoned(1)
        self._grow()
        asyncio.get_running_loop().call_later(_TOLD_AFTER_S, self._say, job)

    def close(self) -> None:
        """What waits does not begin; threads end with the calls that they are in."""
        self._is_closed = True
        for job in list(self._waiting):
            if job.claim() and not job.ended.done():
                job.ended.set_exception(OwnershipLostError("the worker is stopping"))
        self._waiting.clear()
        self._count_waiting()
        for _ in range(self._threads):
            self._queue.put(None)

    # Inside, on the loop

    @property
    def _capacity(self) -> int:
        """Threads that there may be."""
        return self._size + min(self.abandoned, self._abandoned_max)

    def _grow(self) -> bool:
        """As many threads as there are calls, up to the bound. False: the system gives none."""
        loop = asyncio.get_running_loop()
        while self._threads < min(self._outstanding, self._capacity) and not self._is_closed:
            thread = threading.Thread(target=self._serve, args=(loop,), name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                log.warning(telemetry.THREADS_REFUSED, threads=self._threads, error=str(error))
                if self._retry is None:
                    self._retry = loop.call_later(_AGAIN_S, self._grow_again)
                return False
            self._threads += 1
        return True

    def _grow_again(self) -> None:
        self._retry = None
        self._grow()

    def _shrink(self) -> None:
        """Threads that took the place of others, and idle ones, end."""
        while self._threads > min(self._capacity, self._outstanding + self._idle_max):
            self._threads -= 1
            self._queue.put(None)

    def _began(self, job: Job) -> None:
        self._no_longer_waits(job)
        if job.on_begin is not None and not job.ended.done():
            job.on_begin()
        job.on_begin = None

    def _ended(self, job: Job, value: Any, error: BaseException | None) -> None:
        self._outstanding -= 1
        if job.is_abandoned:
            job.is_abandoned = False
            self._count_abandoned(-1)
        if not job.ended.done():
            if error is None:
                job.ended.set_result(value)
            else:
                job.ended.set_exception(error)
        if not self._is_closed:
            self._shrink()

    def _no_longer_waits(self, job: Job) -> None:
        if job in self._waiting:
            del self._waiting[job]
            self._count_waiting()

    def _count_waiting(self) -> None:
        telemetry.THREADS_WAITED_FOR.labels(kind=self._name).set(len(self._waiting))

    def _count_abandoned(self, more: int) -> None:
        self.abandoned += more
        telemetry.THREADS_ABANDONED.labels(kind=self._name).set(self.abandoned)

    def _say(self, job: Job) -> None:
        if not job.is_abandoned:
            return
        log.warning(
            telemetry.THREAD_ABANDONED,
            turn_id=str(job.label.turn_id),
            step=job.label.step_key or None,
            abandoned=self.abandoned,
            replaced=min(self.abandoned, self._abandoned_max),
            waiting=len(self._waiting),
        )

    # In a thread

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        generation = fork.generation
        with contextlib.suppress(RuntimeError):  # the worker has stopped, and its loop with it
            while (job := self._queue.get()) is not None:
                if job.claim():
                    self._run(job, loop, generation)
                del job  # while this waits, it holds nothing of a turn

    def _run(self, job: Job, loop: asyncio.AbstractEventLoop, generation: int) -> None:
        """Raises RuntimeError when the loop is closed."""
        if job.on_begin is not None:
            loop.call_soon_threadsafe(self._began, job)
        value, error = None, None
        try:
            value = job.call()
        except BaseException as raised:  # the edge of user code: it is raised again, on the loop
            error = raised
        try:
            if generation != fork.generation:
                fork.end_child(error)
            loop.call_soon_threadsafe(self._ended, job, value, error)
        finally:
            del error  # its traceback holds this frame


class Threads(NamedTuple):
    """A thread of its own for each synchronous workflow that runs, as many as there are slots: it waits for steps, and
    would take from them what they need. Steps share theirs.
    """

    steps: Pool
    workflows: Pool

    def close(self) -> None:
        for pool in self:
            pool.close()

    @property
    def abandoned(self) -> int:
        return sum(pool.abandoned for pool in self)

    @property
    def waiting(self) -> list[uuid.UUID]:
        return [turn_id for pool in self for turn_id in pool.waiting]


def make_threads(*, steps: int, workflows: int, abandoned_max: int) -> Threads:
    """abandoned_max: of each kind."""
    return Threads(
        Pool("step", size=steps, abandoned_max=abandoned_max, idle_max=steps),
        Pool("workflow", size=workflows, abandoned_max=abandoned_max, idle_max=0),
    )
