"""What this process remembers of the fleet: the names of workflows, and the owners of partitions.

The catalog reads both again every GATEWAY_CACHE_S, and at once when a caller finds them wrong. While Postgres is away
the last answer stands, and its age is shown; before the first answer nothing is known, and nothing is refused for that.
The catalog answers at any age that a name is known, for names are never taken back. It answers that a name is not known
only to a question that is older than its read: since the read a worker may have registered the name.
"""

import asyncio
import math

from argosy import telemetry
from argosy.clock import Clock
from argosy.rounds import Rounds
from argosy.store import catalog
from argosy.store.pool import Pool

log = telemetry.logger()

# A missing name is looked for in Postgres again, but not more often than this: wrong names must not load Postgres.
_BETWEEN_S_MIN = 0.2


class Catalog:
    """Workflows and owners of one lane. Used from one event loop."""

    def __init__(self, pool: Pool, lane: str, interval_s: float, read_timeout_s: float, clock: Clock) -> None:
        self._pool = pool
        self._lane = lane
        self._interval_s = interval_s
        self._read_timeout_s = read_timeout_s
        self._clock = clock
        self._rounds = Rounds("catalog", clock)
        self._workflows: frozenset[str] | None = None
        self._owners: dict[int, catalog.Owner] = {}
        self._accept_lag_s: float | None = None
        self._read_at_s: float | None = None
        # When the last read began that Postgres answered, and when the last read began that is over, answered or not.
        self._read_began_s = self._tried_s = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read once, if Postgres answers, and start to read again every interval_s."""
        await self.refresh()
        self._task = asyncio.get_running_loop().create_task(self._refresh_forever())

    async def close(self) -> None:
        tasks = [task for task in (self._task, self._reading) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def age_s(self) -> float | None:
        """Seconds since Postgres answered the last read; None before the first answer."""
        return None if self._read_at_s is None else self._clock.monotonic_s() - self._read_at_s

    @property
    def accept_lag_s(self) -> float:
        """How many seconds accepting is behind, at the least; 0 when it is not known.

        The age of the answer counts, too: while Postgres is away nothing is accepted.
        """
        return 0.0 if self._accept_lag_s is None else self._accept_lag_s + (self.age_s or 0.0)

    @property
    def _is_fresh(self) -> bool:
        """Whether the last answer is young enough to show that Postgres can be reached."""
        age_s = self.age_s
        return age_s is not None and age_s <= 2 * self._interval_s + self._read_timeout_s

    @property
    def workflow_count(self) -> int:
        return len(self._workflows or ())

    def has_workflow(self, name: str) -> bool:
        """Whether a worker ever registered the name; True while nothing is known."""
        return self._workflows is None or name in self._workflows

    def owner_of(self, partition: int) -> catalog.Owner | None:
        """Return the owner of a partition, or None when it is not known."""
        return self._owners.get(partition)

    async def probe(self) -> None:
        """Return when Postgres has answered and takes writes. Raises StoreUnavailableError."""
        await catalog.probe(self._pool)

    def is_newer_than(self, asked_s: float) -> bool:
        """Whether the read that is remembered began at asked_s, by the clock, or later."""
        return self._read_began_s >= asked_s

    async def look_for(self, name: str, asked_s: float) -> None:
        """Return when the name is known, or when a read that began at asked_s or later is over.

        `is_newer_than` tells whether Postgres answered that read.
        """
        while not self.has_workflow(name) and self._tried_s < asked_s:
            # A read under way may have begun before asked_s: refresh() waits for it, and the loop reads once more.
            wait_s = self._tried_s + _BETWEEN_S_MIN - self._clock.monotonic_s()
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            else:
                await self.refresh()

    async def refresh(self) -> None:
        """Read now; several callers share one read. Return when Postgres has answered, or has not in read_timeout_s."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        began_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(self._read_timeout_s):
                workflows = await catalog.list_workflow_names(self._pool, self._lane)
                self._owners = await catalog.list_owners(self._pool, self._lane)
                self._accept_lag_s = await catalog.find_accept_lag_s(self._pool, self._lane)
        except Exception as error:
            self._rounds.say(error)  # the last answer stands, and its age is shown
        else:
            self._workflows = workflows
            self._read_began_s = began_s
            self._read_at_s = self._clock.monotonic_s()
        self._tried_s = began_s

    async def _refresh_forever(self) -> None:
        was_reachable = True
        while True:
            await self._clock.sleep(self._interval_s)
            async with self._rounds:
                await self.refresh()
            age_s = self.age_s
            telemetry.CACHE_AGE_S.set(-1 if age_s is None else age_s)
            if self._is_fresh != was_reachable:
                was_reachable = self._is_fresh
                log.warning(telemetry.STORE_RECONNECTED if was_reachable else telemetry.STORE_UNAVAILABLE)
