"""Waiting for turns to end (`Prefer: wait`): one question to Postgres for everybody who waits in this process.

The question is asked every 5 ms while somebody has just begun to wait, and less and less often, down to every 50 ms,
so a short turn is answered at once and a long one costs 20 questions a second, however many wait.
"""

import asyncio
import uuid
from typing import Final

from argosy.clock import Clock
from argosy.errors import StoreUnavailableError
from argosy.store.pool import Pool
from argosy.store.turn import find_ended_turns

INTERVAL_S_MIN: Final = 0.005
INTERVAL_S_MAX: Final = 0.050


class _Waiting:
    """One who waits. turn_id changes when the turn turns out to be a duplicate."""

    def __init__(self, turn_id: uuid.UUID, tenant: str, since_s: float, ended: asyncio.Future[uuid.UUID]) -> None:
        self.turn_id = turn_id
        self.tenant = tenant
        self.since_s = since_s
        self.ended = ended


class Waiting:
    """Everybody who waits. Used from one event loop."""

    def __init__(self, pool: Pool, lane: str, clock: Clock) -> None:
        self._pool = pool
        self._lane = lane
        self._clock = clock
        self._waiting: set[_Waiting] = set()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, turn_id: uuid.UUID, tenant: str, timeout_s: float) -> uuid.UUID | None:
        """The id of the turn that ended: turn_id, or what it was a duplicate of. None after timeout_s."""
        loop = asyncio.get_running_loop()
        mine = _Waiting(turn_id, tenant, self._clock.monotonic_s(), loop.create_future())
        self._waiting.add(mine)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._ask_forever())
        try:
            async with asyncio.timeout(timeout_s):
                return await mine.ended
        except TimeoutError:
            return None
        finally:
            self._waiting.discard(mine)

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask_forever(self) -> None:
        while self._waiting:
            youngest_s = self._clock.monotonic_s() - max(mine.since_s for mine in self._waiting)
            await self._clock.sleep(min(max(youngest_s / 10, INTERVAL_S_MIN), INTERVAL_S_MAX))
            asked = list(self._waiting)
            try:
                found = await find_ended_turns(
                    self._pool, [mine.turn_id for mine in asked], [mine.tenant for mine in asked], self._lane
                )
            except StoreUnavailableError:
                await self._clock.sleep(INTERVAL_S_MAX)
                continue
            self._tell(asked, dict(found))

    def _tell(self, asked: list[_Waiting], ended: dict[uuid.UUID, uuid.UUID | None]) -> None:
        for mine in asked:
            if mine.turn_id not in ended or mine.ended.done():
                continue
            original = ended[mine.turn_id]
            if original is None:
                mine.ended.set_result(mine.turn_id)
            else:
                mine.turn_id = original
