"""Threads for synchronous user code: steps, and workflows.

A thread cannot be stopped. When the result of a call is no longer needed (its timeout passed, its turn was cancelled
or lost), the call goes on and is *abandoned*: another thread takes the place of its thread, up to a bound, so that a
call that hangs takes no capacity from others. Beyond the bound it does, and that is logged.

concurrent.futures does not do: its threads cannot be replaced, it does not say when a call that waited begins, and at
exit the interpreter joins its threads, also those that never return.
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

_TOLD_AFTER_S: Final = 1.0  # a call that returns so soon after it was given up was only late, and is not logged
_AGAIN_S: Final = 1.0  # until the system is asked again for a thread that it refused


class Label(NamedTuple):
    """The turn and the step of a call. step_key: empty for a workflow."""

    turn_id: uuid.UUID
    step_key: str = ""


def _nothing() -> None:
    pass


class Job:
    """One call in a thread. ended: the future of its result.

    on_begin: called on the loop when a thread takes up the call; None when the call began at once.
    """

    __slots__ = ("_unclaimed", "call", "ended", "is_abandoned", "label", "on_begin")

    def __init__(self, call: Callable[[], Any], label: Label, ended: "asyncio.Future[Any]") -> None:
        self.call = call
        self.label = label
        self.ended = ended
        self.on_begin: Callable[[], None] | None = None
        self.is_abandoned = False
        self._unclaimed = [True]

    def claim(self) -> bool:
        """Claim the call, to run it or to keep it from running. Returns True to the first caller only."""
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False


class ThreadPool:
    """Threads of one kind. Used on one event loop; any thread may read abandoned, is_exhausted and waiting.

    size: threads for calls that were not given up. abandoned_max: further threads, in place of those that abandoned
    calls hold. idle_max: how many idle threads are kept.
    """

    def __init__(self, name: str, *, size: int, abandoned_max: int, idle_max: int) -> None:
        self._name = name
        self._size = size
        self._abandoned_max = abandoned_max
        self._idle_max = idle_max
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = 0
        # How many calls have not ended, abandoned ones included; and those of them that no thread has taken yet.
        self._outstanding = 0
        self._waiting: dict[Job, None] = {}
        self._is_closed = False
        self._retry: asyncio.TimerHandle | None = None
        self.abandoned = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether abandoned calls hold every thread that the pool may have."""
        return self.abandoned >= self._abandoned_max + self._size

    @property
    def waiting(self) -> list[uuid.UUID]:
        """The turns whose calls wait for a thread."""
        return [job.label.turn_id for job in list(self._waiting)]

    def submit(self, call: Callable[[], Any], label: Label, on_begin: Callable[[], None] | None = None) -> Job:
        """Run the call in a thread. on_begin: called when it begins, which may be before this returns.

        A caller that no longer waits for `ended` must call `give_up`. Raises OwnershipLostError when this process ends.
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
        """Whether a call waits for a thread."""
        return job in self._waiting

    def give_up(self, job: Job) -> None:
        """Give up a call: it never begins, or is abandoned if it has begun."""
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
        """Refuse the calls that wait; each thread ends with the call that it runs."""
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
        """How many threads the pool may have now."""
        return self._size + min(self.abandoned, self._abandoned_max)

    def _grow(self) -> bool:
        """Start threads until there is one per call, up to the capacity. False: the system refused one."""
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
        """Let surplus threads end: idle ones, and those that were started in place of others."""
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
        fork_depth = fork.depth
        with contextlib.suppress(RuntimeError):  # the worker has stopped, and its loop with it
            while (job := self._queue.get()) is not None:
                if job.claim():
                    self._run(job, loop, fork_depth)
                del job  # a thread that waits must not keep a turn alive

    def _run(self, job: Job, loop: asyncio.AbstractEventLoop, fork_depth: int) -> None:
        """Run a call, and hand its outcome to the loop. Raises RuntimeError when the loop is closed."""
        if job.on_begin is not None:
            loop.call_soon_threadsafe(self._began, job)
        value, error = None, None
        try:
            value = job.call()
        except BaseException as raised:  # the edge of user code; `ended` raises it on the loop
            error = raised
        try:
            if fork_depth != fork.depth:
                fork.end_child(error)
            loop.call_soon_threadsafe(self._ended, job, value, error)
        finally:
            del error  # its traceback holds this frame


class Threads(NamedTuple):
    """The two pools of a worker: one for steps, one for synchronous workflows.

    Each synchronous workflow that runs has a thread of its own, so that pool is as large as there are slots. In one
    common pool, workflows that wait for steps would take the threads that the steps need.
    """

    steps: ThreadPool
    workflows: ThreadPool

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
    """Make the two pools. abandoned_max: of each pool."""
    return Threads(
        ThreadPool("step", size=steps, abandoned_max=abandoned_max, idle_max=steps),
        ThreadPool("workflow", size=workflows, abandoned_max=abandoned_max, idle_max=0),
    )
