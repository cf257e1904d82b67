"""One leader per role fleet-wide: whoever holds the role's lock, for as long as its session lasts.

Rules:
- A candidate waits in the lock; a leader that dies frees it within milliseconds, so the next one leads at once.
- A leader has a term, and every write carries it: one that was deposed without knowing changes nothing.
- It resigns when its session is gone, when somebody else has the term, and when a tick is not done in time.
- One that stopped keeps its lock: after MAINTENANCE_SILENT_S without a word the next candidate ends its session.
"""

import asyncio
import contextlib
import os
import socket
import uuid

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, OwnershipLostError, UnavailableError
from argosy.store.leader import LeaderSession
from workers.maintenance.role import Role

log = structlog.get_logger()

_RETRY_S = 1.0


class Leader:
    """A candidate for one role, and its leader when it is its turn. `run` until cancelled."""

    def __init__(
        self,
        dsn: str,
        role: Role,
        clock: Clock,
        *,
        tick_s: float,
        timeout_s: float,
        silent_s: float,
        wait_s: float,
    ) -> None:
        self._dsn = dsn
        self._role = role
        self._clock = clock
        self._tick_s = tick_s
        self._timeout_s = timeout_s
        self._silent_s = silent_s
        self._wait_s = wait_s
        self._id = uuid.uuid4()
        self._is_leader = telemetry.LEADER.labels(role=role.name)
        self._term = telemetry.LEADER_TERM.labels(role=role.name)
        self._is_leader.set(0)

    async def run(self) -> None:
        while True:
            try:
                await self._stand()
            except UnavailableError as error:
                log.warning(telemetry.STORE_UNAVAILABLE, role=self._role.name, error=str(error))
            await self._clock.sleep(_RETRY_S)

    async def _stand(self) -> None:
        """Wait for the role, then lead until something ends it."""
        session = await LeaderSession.open(self._dsn, self._role.name, self._wait_s)
        lost = asyncio.Event()
        session.on_lost(lost.set)
        try:
            while not await session.wait():
                if await session.end_silent(self._silent_s):
                    log.warning(telemetry.LEADER_ENDED, role=self._role.name, silent_s=self._silent_s)
            term = await session.take_term(self._id, socket.gethostname(), os.getpid())
            self._is_leader.set(1)
            self._term.set(term)
            log.info(telemetry.LEADER_ELECTED, role=self._role.name, term=term)
            why = await self._lead(session, term, lost)
            log.warning(telemetry.LEADER_RESIGNED, role=self._role.name, term=term, why=why)
        finally:
            self._is_leader.set(0)
            session.close()

    async def _lead(self, session: LeaderSession, term: int, lost: asyncio.Event) -> str:
        """Returns why it is over."""
        outcome = "elected"
        while not lost.is_set():
            if not await session.note_tick(term, outcome):
                return "somebody else has the term"
            ticking = asyncio.create_task(self._tick(term))
            losing = asyncio.create_task(lost.wait())
            try:
                async with asyncio.timeout(self._timeout_s):
                    await asyncio.wait({ticking, losing}, return_when=asyncio.FIRST_COMPLETED)
                    if not ticking.done():
                        return "its session is gone"
                    outcome = ticking.result()
            except TimeoutError:
                telemetry.LEADER_TICKS.labels(role=self._role.name, outcome="hung").inc()
                return f"a tick took longer than {self._timeout_s:g} s"
            except OwnershipLostError as error:
                return str(error)
            finally:
                ticking.cancel()
                losing.cancel()
                await asyncio.wait({ticking, losing}, timeout=_RETRY_S)
            if not await session.note_tick(term, outcome):
                return "somebody else has the term"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tick_s):
                    await lost.wait()
        return "its session is gone"

    async def _tick(self, term: int) -> str:
        began_s = self._clock.monotonic_s()
        count = telemetry.LEADER_TICKS.labels
        try:
            outcome = await self._role.tick(term)
        except OwnershipLostError:
            count(role=self._role.name, outcome="deposed").inc()
            raise
        except ArgosyError as error:
            count(role=self._role.name, outcome="failed").inc()
            log.warning(telemetry.LEADER_TICK_FAILED, role=self._role.name, error=str(error))
            return f"failed: {error}"
        count(role=self._role.name, outcome="done").inc()
        telemetry.LEADER_TICK_S.labels(role=self._role.name).observe(self._clock.monotonic_s() - began_s)
        return outcome
