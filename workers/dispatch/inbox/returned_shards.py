"""Lets turns go on that wait for a shard, when this worker sees the shard again.

Such a turn is suspended, and its timer is a row of the inbox that says which shard it waits for. When the shard is
back, the rows of the partitions that are served here are made due, and the inbox takes them as it takes every row. So
nothing is kept in memory for a turn, whoever owns it then; and whatever is missed here, the timer fires.

Rules:
- At most GRAPH_WAKES_MAX rows are made due in a second. The next ones follow a second later.
- Rows are looked for several times after a return: a turn may write its wait just then, or come from another worker.
- A shard that is back again and again soon lets nobody go on early any more: each try of a turn leaves events.
"""

import asyncio
import uuid
from collections import deque
from typing import Final, Protocol

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.ranges import joined
from argosy.rounds import Rounds
from argosy.store.head import Heads
from argosy.workers.dispatch.claims import Claims

_LOOKS_S: Final = (0.0, 1.0, 3.0, 10.0)  # after a return
_WAVE_S: Final = 1.0
_RETURNS_MAX: Final = 5
_RETURNS_S: Final = 300.0  # in which there may be so many
_TICK_S: Final = 0.1  # how late a look may be


class AfterHastening(Protocol):
    """What ReturnedShards tells."""

    def after_hastening(self) -> None:
        """Waits for a shard are due."""


class ReturnedShards:
    """`run` goes on until it is cancelled. Memory is bounded by the number of shards."""

    def __init__(self, heads: Heads, claims: Claims, clock: Clock, settings: Settings, then: AfterHastening) -> None:
        self._heads = heads
        self._claims = claims
        self._clock = clock
        self._wakes_max = settings.graph_wakes_max
        self._within_s = settings.graph_retry_s_max
        self._then = then
        self._looks: dict[uuid.UUID, deque[float]] = {}  # when rows are looked for, in order
        self._returns: dict[uuid.UUID, deque[float]] = {}
        self._work = asyncio.Event()

    def returned(self, shard: uuid.UUID) -> None:
        """The shard answers again."""
        now_s = self._clock.monotonic_s()
        returns = self._returns.setdefault(shard, deque(maxlen=_RETURNS_MAX))
        if len(returns) == _RETURNS_MAX and now_s - returns[0] < _RETURNS_S:
            return
        returns.append(now_s)
        self._looks[shard] = deque(now_s + each for each in _LOOKS_S)
        self._work.set()

    async def run(self) -> None:
        rounds = Rounds("returned shards", self._clock)
        while True:
            await self._work.wait()
            async with rounds:
                await self.look()
            if not self._looks:
                self._work.clear()
            await self._clock.sleep(_TICK_S)

    async def look(self) -> None:
        """Make rows due for the shards for which it is time."""
        for shard, looks in list(self._looks.items()):
            while looks and looks[0] <= self._clock.monotonic_s():
                if await self._hasten(shard) >= self._wakes_max:
                    looks[0] = self._clock.monotonic_s() + _WAVE_S
                else:
                    looks.popleft()
            if not looks and self._looks.get(shard) is looks:
                del self._looks[shard]

    async def _hasten(self, shard: uuid.UUID) -> int:
        ranges = joined((each.first_bucket, each.last_bucket) for each in self._claims.owned.values() if each.is_served)
        if not ranges:
            return 0
        hastened = await self._heads.hasten_retries(ranges, shard, self._within_s, self._wakes_max)
        if hastened:
            telemetry.SHARD_RETRIES_HASTENED.inc(hastened)
            self._then.after_hastening()
        return hastened
