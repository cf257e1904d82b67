"""The metrics of each partition that this worker owns; those of a partition that it lost are removed.

Epochs and ready sessions come from memory. The ages of the oldest turn that runs or could run, and of the oldest that
waits, come from Postgres, in one query for all partitions: they must also show a turn that memory has forgotten by
mistake (I9).
"""

import contextlib
from collections import Counter
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import StoreUnavailableError
from argosy.lineage import count_of
from argosy.rounds import Rounds
from argosy.store import fleet
from argosy.store.pool import Pool
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.scheduling.scheduler import Scheduler

_LOOK_S: Final = 2.0  # memory is looked at this often
_SESSIONS_MAX: Final = 4_000  # per query, of all partitions together: some 20 ms of Postgres
_GAUGES: Final = (
    telemetry.PARTITION_LAG,
    telemetry.PARTITION_EPOCH,
    telemetry.PARTITION_READY_SESSIONS,
    telemetry.PARTITION_OLDEST_TURN_S,
    telemetry.PARTITION_OLDEST_WAITING_TURN_S,
)


class PartitionGauges:
    """The gauges' loop: `run` goes on until cancelled. claims: read and never changed.

    measure_s (PARTITION_MEASURE_S): how often Postgres is asked, idle or not: about as often as Prometheus scrapes.
    """

    def __init__(
        self, pool: Pool, lane: str, scheduler: Scheduler, clock: Clock, claims: Claims, *, measure_s: float
    ) -> None:
        self._measure_s = measure_s
        self._pool = pool
        self._lane = lane
        self._scheduler = scheduler
        self._clock = clock
        self._owned = claims.owned
        self._shown: set[int] = set()
        self._measured_at_s: float | None = None

    async def run(self) -> None:
        rounds = Rounds("gauges", self._clock)
        while True:
            async with rounds:
                self.look()
                await self._measure_when_due()
            await self._clock.sleep(_LOOK_S)

    def look(self) -> None:
        """Set the gauges that memory knows, and remove those of partitions that this worker does not own any more."""
        for partition in self._shown - self._owned.keys():
            for gauge in _GAUGES:
                gauge.remove(str(partition))
        self._shown = set(self._owned)
        ready = Counter(each.owned.partition for each in self._scheduler.sessions.values() if each.is_ready)
        for partition, each in self._owned.items():
            telemetry.PARTITION_EPOCH.labels(partition=str(partition)).set(count_of(each.epoch))
            telemetry.PARTITION_READY_SESSIONS.labels(partition=str(partition)).set(ready[partition])

    async def measure(self) -> None:
        """Set the age of each partition's oldest turn, as Postgres has it. Raises StoreUnavailableError."""
        buckets = {partition: (each.first_bucket, each.last_bucket) for partition, each in self._owned.items()}
        if not buckets:
            return
        sessions_max = max(1, _SESSIONS_MAX // len(buckets))
        measures = await fleet.measure_partitions(
            self._pool, self._lane, buckets, sessions_max=sessions_max, turns_max=1
        )
        for each in measures:
            if each.partition in self._shown and each.partition in self._owned:
                partition = str(each.partition)
                telemetry.PARTITION_OLDEST_TURN_S.labels(partition=partition).set(each.oldest_turn_s or 0.0)
                oldest = telemetry.PARTITION_OLDEST_WAITING_TURN_S.labels(partition=partition)
                oldest.set(each.oldest_waiting_s or 0.0)

    async def _measure_when_due(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._measured_at_s is not None and now_s - self._measured_at_s < self._measure_s:
            return
        self._measured_at_s = now_s
        with contextlib.suppress(StoreUnavailableError):  # loops that cannot go on without Postgres log that it is away
            await self.measure()
