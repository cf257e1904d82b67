"""Role census: counts what waits in the whole fleet, for /metrics.

Turns that have not ended are counted by going through their index, a bounded number of rows in each statement and in
each tick, so that a count of ten million costs no more at a time than one of ten thousand. It takes longer: the numbers
are those of the last census that came to its end, and their age is shown. Nothing is written.
"""

from collections import Counter
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.store.census import FIRST, OpenPlace, count_dead_letters, count_open
from argosy.store.maintenance import Maintenance
from argosy.store.pool import Pool
from argosy.workers.maintenance.role import Ticked

_ROWS: Final = 10_000  # of one statement: some 20 ms of Postgres
_STATEMENTS: Final = 5  # of one tick
_DEAD_LETTERS_MAX: Final = 10_000  # of a lane that are counted
_STATUSES: Final = ("queued", "running", "suspended", "parked")

Key = tuple[str, str]  # lane, status


class Census:
    """The role census; see workers/maintenance/role.py."""

    name = "census"

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._term: int | None = None
        self._begun_s = 0.0
        self._place: OpenPlace = FIRST
        self._turns: Counter[Key] = Counter()
        self._oldest_s: dict[Key, float] = {}  # since when, by this process's clock
        self._shown: set[str] = set()  # lanes
        self._counted_s: float | None = None

    async def tick(self, term: int) -> Ticked:
        if term != self._term:  # what was counted under another term is old, and is shown no more
            self._term, self._counted_s, self._shown = term, None, set()
            self._begin()
        for _ in range(_STATEMENTS):
            if await self._count():
                dead = await count_dead_letters(self._pool, _DEAD_LETTERS_MAX)
                lanes = {each.lane for each in await Maintenance(self._pool, self.name, term).lanes()}
                said = f"{self._turns.total()} open turns counted"
                self._show(lanes, dead)
                self._begin()
                return Ticked(said)
        if self._counted_s is not None:
            telemetry.CENSUS_AGE_S.set(self._clock.monotonic_s() - self._counted_s)
        return Ticked(f"{self._turns.total()} open turns so far")

    def _begin(self) -> None:
        self._begun_s = self._clock.monotonic_s()
        self._place = FIRST
        self._turns.clear()
        self._oldest_s.clear()

    async def _count(self) -> bool:
        """Count on. Return whether there are no more turns."""
        counted, self._place = await count_open(self._pool, self._place, _ROWS)
        now_s = self._clock.monotonic_s()
        for each in counted:
            key = each.lane, each.status
            self._turns[key] += each.turns
            self._oldest_s[key] = min(self._oldest_s.get(key, now_s), now_s - each.oldest_s)
        return sum(each.turns for each in counted) < _ROWS

    def _show(self, lanes: set[str], dead_letters: dict[str, int]) -> None:
        """Show what was counted, and 0 of what a lane has none of. lanes: that are known."""
        now_s = self._clock.monotonic_s()
        lanes = lanes | dead_letters.keys() | {lane for lane, _ in self._turns}
        for lane in lanes:
            for status in _STATUSES:
                key = lane, status
                telemetry.TURNS_OPEN.labels(*key).set(self._turns[key])
                telemetry.TURNS_OPEN_OLDEST_S.labels(*key).set(now_s - self._oldest_s.get(key, now_s))
            telemetry.DEAD_LETTERS_KEPT.labels(lane).set(dead_letters.get(lane, 0))
        for lane in self._shown - lanes:
            for status in _STATUSES:
                telemetry.TURNS_OPEN.remove(lane, status)
                telemetry.TURNS_OPEN_OLDEST_S.remove(lane, status)
            telemetry.DEAD_LETTERS_KEPT.remove(lane)
        self._shown = lanes
        self._counted_s = self._begun_s
        telemetry.CENSUS_AGE_S.set(now_s - self._begun_s)
