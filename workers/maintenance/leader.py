"""One leader per role in the whole fleet: the process that holds the role's lock, for as long as its session lasts.

Rules:
- A candidate waits for the lock. When the leader dies, Postgres frees the lock within milliseconds, so the next
  candidate leads at once.
- A leader has a term, and every write carries it: a leader that was deposed without knowing it changes nothing.
- A leader asks again and again, over its session, whether it still leads. So the session of a leader that has stopped
  falls silent, and after LEADER_SILENT_S the next candidate that looks ends that session.
- A leader resigns when its session is gone, when another process has the term, when a tick is not done in time (the
  tick is given up, whether it ends or not), and when several ticks in a row have failed: another process may do better.
"""

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import OwnershipLostError, UnavailableError
from argosy.lineage import count_of
from argosy.rounds import Rounds
from argosy.store.leader import LeaderSession
from argosy.workers.maintenance.role import Role, Ticked

log = structlog.get_logger()

_RETRY_S_MIN, _RETRY_S_MAX = 1.0, 10.0
_MORE_S: Final = 0.05  # others come to Postgres between two full batches
_GIVE_UP_S: Final = 1.0  # how long a cancelled task may take to end
_FAILURES_MAX: Final = 3  # another process may do better
_LOOKS: Final = 3  # in LEADER_SILENT_S: looks of a candidate, and questions of a leader
_LOOK_S_MAX: Final = 60.0  # bounds a waiting statement: it keeps its snapshot, and so vacuum from newer dead rows
_TERM_IS_OVER: Final = "another process has the term"


def look_after_s(silent_s: float, others_waiting: int) -> float:
    """Return how long a candidate waits before it looks whether the leader has stopped.

    The more candidates wait, the less often each looks, so that the cost of the looks hardly grows with the fleet.
    """
    return min(silent_s / _LOOKS * (1 + others_waiting), max(_LOOK_S_MAX, silent_s / _LOOKS))


class Leader:
    """A candidate for one role, and at times its leader. `run` until cancelled.

    state: "away" (Postgres cannot be reached) | "waits" | "leads".
    """

    def __init__(
        self,
        dsn: str,
        role: Role,
        clock: Clock,
        *,
        worker_id: uuid.UUID,
        tick_s: float,
        timeout_s: float,
        silent_s: float,
    ) -> None:
        self._dsn = dsn
        self._role = role
        self._clock = clock
        self._worker_id = worker_id
        self._tick_s = tick_s
        self._timeout_s = timeout_s
        self._silent_s = silent_s
        self._is_leader = telemetry.LEADER.labels(role=role.name)
        self._term = telemetry.LEADER_TERM.labels(role=role.name)
        self._is_leader.set(0)
        self.state = "away"

    @property
    def name(self) -> str:
        return self._role.name

    async def run(self) -> None:
        rounds = Rounds(f"leader {self.name}", self._clock)
        delay_s = _RETRY_S_MIN
        while True:
            delay_s = min(delay_s * 2, _RETRY_S_MAX)
            async with rounds:
                await self._stand()
                delay_s = _RETRY_S_MIN
            await self._clock.sleep(delay_s)

    async def _stand(self) -> None:
        """Wait for the role, then lead until something ends that."""
        session = await LeaderSession.open(self._dsn, self.name)
        try:
            await self._wait(session)
            term = await session.take_term(self._worker_id, socket.gethostname(), os.getpid())
            self.state = "leads"
            self._is_leader.set(1)
            self._term.set(count_of(term))
            log.info(telemetry.LEADER_ELECTED, role=self.name, term=term)
            why = await self._lead(session, term)
            log.warning(telemetry.LEADER_RESIGNED, role=self.name, term=term, why=why)
        finally:
            self.state = "away"
            self._is_leader.set(0)
            if (gauges := telemetry.LEADER_GAUGES.get(self.name)) is not None:
                gauges.forget()
            session.close()

    async def _wait(self, session: LeaderSession) -> None:
        self.state = "waits"
        others = 0
        while not await session.wait(look_after_s(self._silent_s, others)):
            others, ended = await session.look(self._silent_s)
            if ended:
                log.warning(telemetry.LEADER_ENDED, role=self.name, silent_s=self._silent_s)

    async def _lead(self, session: LeaderSession, term: int) -> str:
        """Lead, and return why the leadership is over."""
        tasks = {asyncio.create_task(work) for work in (self._beat(session, term), self._tick_on(session, term))}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        except (UnavailableError, OwnershipLostError) as error:
            return str(error)
        finally:
            await _give_up(tasks)

    async def _beat(self, session: LeaderSession, term: int) -> str:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._silent_s / _LOOKS):
                    await session.lost.wait()
                    return "its session is gone"
            if not await session.has_term(term):
                return _TERM_IS_OVER

    async def _tick_on(self, session: LeaderSession, term: int) -> str:
        failures = 0
        while await session.has_term(term):
            began_s = self._clock.monotonic_s()
            try:
                outcome, has_more = await self._within_bound(self._role.tick(term))
                self._count("done")
                telemetry.LEADER_TICK_S.labels(role=self.name).observe(self._clock.monotonic_s() - began_s)
                failures = 0
            except TimeoutError:
                self._count("hung")
                return f"a tick took longer than {self._timeout_s:g} s"
            except OwnershipLostError as error:
                self._count("deposed")
                return str(error)
            except Exception as error:  # of any kind: an error of one role must not end the others
                self._count("failed")
                log.warning(telemetry.LEADER_TICK_FAILED, role=self.name, error=f"{type(error).__name__}: {error}")
                outcome, has_more, failures = f"failed: {error}", False, failures + 1
            if not await session.note_tick(term, outcome):
                break
            if failures >= _FAILURES_MAX:
                return f"{failures} ticks failed one after the other"
            await self._clock.sleep(min(_MORE_S, self._tick_s) if has_more else self._tick_s)
        return _TERM_IS_OVER

    async def _within_bound(self, tick: Coroutine[Any, Any, Ticked]) -> Ticked:
        """Return the outcome of a tick. Raises TimeoutError when it takes too long, even if it cannot be cancelled."""
        ticking = asyncio.create_task(tick)
        try:
            await asyncio.wait({ticking}, timeout=self._timeout_s)
            if ticking.done():
                return ticking.result()
            raise TimeoutError
        finally:
            await _give_up({ticking})

    def _count(self, outcome: str) -> None:
        telemetry.LEADER_TICKS.labels(role=self.name, outcome=outcome).inc()


async def _give_up(tasks: "set[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_GIVE_UP_S)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # marks it as seen: the task was given up
