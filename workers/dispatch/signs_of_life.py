"""Show other workers that this one lives, and watch which of them live.

A thread does both, with a loop and connections of its own: user code that blocks the event loop must not make a working
process look dead. (Nor does this thread hide a stuck loop: loop_monitor.py ends such a process.)

- This process holds the session-level advisory lock of its worker number, and writes heartbeats.
- It waits for the lock of its neighbour in the ring of living workers. When Postgres grants it, the neighbour is dead,
  or its connection was cut: a NOTIFY makes all workers look at once, and they look again after a grace.
- An idle worker costs one small heartbeat per interval, which grows with the number of workers (life.beat_after_s). The
  answer to a heartbeat says what every worker must know of the database: its lineage, and which log the lane is on.
  `beat_soon` sends at once what others wait for: that this worker drains. Looks at the workers, one every few seconds,
  are shared by all workers.
- Nothing that Postgres does ends the thread. It tries again after a growing pause; at once, when the connection had
  worked for a second.
"""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import StoreReadOnlyError
from argosy.life import LOCK_GRACE_S, is_alive
from argosy.store import worker
from argosy.store.pool import connect
from argosy.store.worker import Beat, Told
from argosy.workers.dispatch.ring import RingWorker, beat_after_s, look_after_s, neighbour

log = structlog.get_logger()

_JOIN_S = 2.0  # a call to a Postgres that is silent may take longer; the thread is a daemon
_CALL_S = 5.0  # after so long without an answer the connection counts as lost: the network may have gone silent
_RETRY_S_MIN, _RETRY_S_MAX = 0.02, 1.0
_BEATS_MISSED_MAX = 2  # a connection that broke is made anew in less


class Living(Protocol):
    """The worker of which these are the signs of life."""

    def beat(self) -> Beat:
        """Return what the next heartbeat says. Called from the thread."""


class AfterHeartbeat(Protocol):
    """What SignsOfLife tells, on the loop that called `start`."""

    def after_workers(self, workers: list[RingWorker]) -> None:
        """The fleet was notified, or what is known of its workers has changed."""

    def after_heartbeat(self, told: Told) -> None:
        """Postgres has answered a heartbeat."""


class SignsOfLife:
    """The signs of life of one worker, from `start` to `stop`."""

    def __init__(
        self,
        dsn: str,
        worker_id: uuid.UUID,
        worker_no: int,
        clock: Clock,
        settings: Settings,
        living: Living,
        then: AfterHeartbeat,
    ) -> None:
        self._dsn = dsn
        self._worker_id = worker_id
        self._worker_no = worker_no
        self._clock = clock
        self._interval_s = settings.heartbeat_interval_s
        self._ttl_s = settings.heartbeat_ttl_s
        self._living = living
        self._then = then
        self._owner_loop: asyncio.AbstractEventLoop | None = None
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="signs-of-life", daemon=True)
        self._known: list[RingWorker] = []
        self._free_since_s: dict[uuid.UUID, float] = {}
        self._look_at_s = self._looked_at_s = 0.0
        self._connections = 0
        self._is_away = False
        self.is_read_only = False
        self._has_to_beat = False
        self._beaten_at_s: float | None = None

    @property
    def is_heard(self) -> bool:
        """Whether Postgres took a heartbeat lately. From any thread."""
        beaten_at_s = self._beaten_at_s
        if beaten_at_s is None:
            return False
        return self._clock.monotonic_s() - beaten_at_s <= self._beat_after_s() + _BEATS_MISSED_MAX * self._interval_s

    def start(self) -> None:
        """Start the thread. Called on the loop on which the callbacks are to run."""
        self._owner_loop = asyncio.get_running_loop()
        self._thread.start()

    def beat_soon(self) -> None:
        """Send a heartbeat now, because other workers wait to hear of a change. From any thread."""

        def wake() -> None:
            self._has_to_beat = True
            self._news.set()

        self._call(wake)

    def stop(self) -> None:
        self._stopping.set()
        self._call(lambda: self._ended.set())  # looked up late: `_ended` exists only once the thread runs
        self._thread.join(_JOIN_S)

    def _call(self, work: Callable[[], None]) -> None:
        if self._own_loop is not None:
            with contextlib.suppress(RuntimeError):  # the thread's loop has ended
                self._own_loop.call_soon_threadsafe(work)

    # The thread

    async def _run(self) -> None:
        self._news = asyncio.Event()
        self._new_neighbour = asyncio.Event()
        self._own_loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        beating, watching, ended = (
            asyncio.create_task(each)
            for each in (self._again_and_again(self._beat), self._again_and_again(self._watch), self._ended.wait())
        )
        await asyncio.wait({beating, ended}, return_when=asyncio.FIRST_COMPLETED)
        tasks = (beating, watching, ended)
        for task in tasks:  # calls in flight are not waited for: Postgres may be silent
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _again_and_again(self, work: Callable[[Any], Any]) -> None:
        """Run work(connection) again and again, on a connection of its own that is opened anew when it is lost."""
        delay_s = 0.0
        while not self._stopping.is_set():
            connection, began_at_s = None, self._clock.monotonic_s()
            try:
                connection = await connect(self._dsn, application=f"argosy life {self._worker_id}")
                await work(connection)
            except Exception as error:  # of any kind: if this thread ended, the worker would look dead
                self._warn(error)
                if connection is not None and self._clock.monotonic_s() - began_at_s > _RETRY_S_MAX:
                    delay_s = 0.0
                await self._clock.sleep(delay_s)
                delay_s = min(max(_RETRY_S_MIN, delay_s * 2), _RETRY_S_MAX)
            finally:
                if connection is not None:
                    connection.terminate()

    async def _beat(self, connection: Any) -> None:
        await connection.add_listener(worker.FLEET_CHANNEL, lambda *_: self._news.set())
        # Wake up when the connection is cut, to open another one before others take us for dead, however long it is
        # until the next heartbeat.
        connection.add_termination_listener(lambda _: self._news.set())
        self._connections += 1  # `_watch` takes a new connection, too: its own may have died unnoticed like this one's
        self._new_neighbour.set()
        has_lock = False
        while not self._stopping.is_set():
            async with asyncio.timeout(_CALL_S):
                if not has_lock:
                    has_lock = is_back = await worker.take_lock(connection, self._worker_no)
                else:
                    is_back = self._was_silent()
                is_asked_for, self._has_to_beat = self._has_to_beat, False
                told = await worker.beat(connection, self._worker_id, self._living.beat())
                if is_back or is_asked_for:  # when back: others may have taken us for dead, and we may have missed news
                    await worker.notify_fleet(connection)
            self._beaten()
            if told is not None:
                self._tell(self._then.after_heartbeat, told)
            await self._listen(connection, self._clock.monotonic_s() + self._beat_after_s())

    def _beat_after_s(self) -> float:
        return beat_after_s(self._known, interval_s=self._interval_s, ttl_s=self._ttl_s)

    async def _listen(self, connection: Any, until_s: float) -> None:
        """Look at the fleet whenever there is a reason to, until the next heartbeat is due."""
        while not (self._stopping.is_set() or self._has_to_beat):
            if (left_s := until_s - self._clock.monotonic_s()) <= 0:
                return
            is_news = self._news.is_set()
            if is_news or self._clock.monotonic_s() >= self._next_look_s():
                self._news.clear()
                is_my_turn = not is_news and self._clock.monotonic_s() >= self._look_at_s  # otherwise all workers look
                async with asyncio.timeout(_CALL_S):
                    await self._look(connection, is_news)
                after_s = look_after_s(self._known, self._worker_no, is_first_round=not is_my_turn)
                self._look_at_s = self._looked_at_s + after_s
            wait_s = max(0.0, min(left_s, self._next_look_s() - self._clock.monotonic_s()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()

    def _next_look_s(self) -> float:
        """Return when this worker's turn to look comes, or when the grace of a free lock ends, whichever is first.

        A worker that takes its lock again before its grace ends notifies the fleet.
        """
        ends = (since_s + LOCK_GRACE_S for since_s in self._free_since_s.values())
        return min([self._look_at_s, *(each for each in ends if each > self._looked_at_s)])

    async def _look(self, connection: Any, is_news: bool) -> None:
        facts = await worker.known(connection)
        now_s = self._looked_at_s = self._clock.monotonic_s()
        free = {fact.worker_id for fact in facts if not fact.holds_lock and fact.worker_id != self._worker_id}
        self._free_since_s = {each: self._free_since_s.get(each, now_s) for each in free}
        workers = [
            RingWorker(
                fact.worker_id,
                fact.worker_no,
                fact.lane,
                fact.address,
                fact.is_draining,
                is_alive(
                    lock_free_s=now_s - self._free_since_s[fact.worker_id] if fact.worker_id in free else None,
                    heard_s=fact.heard_s,
                    server_up_s=fact.server_up_s,
                    ttl_s=self._ttl_s,
                ),
            )
            for fact in facts
        ]
        lived = {each.worker_id for each in self._known if each.is_alive}
        has_changed, self._known = workers != self._known, workers
        if any(each.worker_id in lived and not each.is_alive for each in workers):
            await worker.notify_fleet(connection)  # looks are shared: the worker that sees another's death tells all
        if has_changed:
            self._new_neighbour.set()
        if has_changed or is_news:
            self._tell(self._then.after_workers, workers)

    async def _watch(self, connection: Any) -> None:
        """Wait for the neighbour's lock. Returns when there is another neighbour: begin anew on another connection."""
        self._new_neighbour.clear()
        connections, watched = self._connections, neighbour(self._known, self._worker_no)
        if watched is None:
            await self._new_neighbour.wait()
            return
        waiting = asyncio.create_task(worker.wait_for_death(connection, watched.worker_no))
        try:
            while not waiting.done():
                changed = asyncio.create_task(self._new_neighbour.wait())
                await asyncio.wait({waiting, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                self._new_neighbour.clear()
                now = neighbour(self._known, self._worker_no)
                if self._connections != connections or now is None or now.worker_no != watched.worker_no:
                    break
            if waiting.done():
                waiting.result()
                await worker.notify_fleet(connection)
                self._news.set()
                await self._clock.sleep(LOCK_GRACE_S)  # the neighbour may come back: then it is watched again
        finally:
            waiting.cancel()
            connection.terminate()
            await asyncio.gather(waiting, return_exceptions=True)

    def _tell(self, callback: Callable[[Any], None], what: Any) -> None:
        if self._owner_loop is None:
            return
        try:
            self._owner_loop.call_soon_threadsafe(callback, what)
        except RuntimeError:
            self._stopping.set()  # the worker's loop is closed: the worker has ended

    def _was_silent(self) -> bool:
        """Whether the last heartbeat is longer ago than the TTL: this process had stopped, or Postgres was away."""
        beaten_at_s = self._beaten_at_s
        return beaten_at_s is not None and self._clock.monotonic_s() - beaten_at_s > self._ttl_s

    def _warn(self, error: Exception) -> None:
        if not self._stopping.is_set():
            self._is_away = True
            self.is_read_only = isinstance(error, StoreReadOnlyError)
            said = str(error) if self.is_read_only else f"{type(error).__name__}: {error}"
            log.warning(telemetry.HEARTBEAT_FAILED, error=said)

    def _beaten(self) -> None:
        self._beaten_at_s = self._clock.monotonic_s()
        if self._is_away:
            self._is_away = self.is_read_only = False
            log.warning(telemetry.STORE_RECONNECTED)
