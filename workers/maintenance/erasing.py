"""Role erase: forgets sessions, tenants, graphs and turns everywhere they stand, stage by stage (argosy/erasure.py).

A stage is done in bounded parts, and each of them does again what is still there: so whoever leads goes on where
another one was killed. One erasure that waits, for turns to end or for a shard, keeps no other one waiting.

What turns uploaded goes before them: the job is ended, its feed fenced at the graph's shard, and what it wrote last is
deleted there. So a batch that is under way was there before, or comes to nothing.

What goes is what was accepted until the log had been read up to the moment in which the erasure was asked for; of a
tenant that is deleted, up to its fence, after which no gateway lets in anything for it: nothing comes later, and all of
it goes. A turn is erased after what it wrote into graphs: as long as it is here, its id is known. Its row stays, with
nothing in it, until its record is gone from the log (role retention): a record that is read again finds its turn, and
does nothing.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from argosy import crash_points
from argosy.clock import Clock
from argosy.config import Settings
from argosy.erasure import FOLLOWING, ROLE, ErasureKind, Stage, needle_of, unread_words
from argosy.errors import ArgosyError, OwnershipLostError, StoreUnavailableError
from argosy.graph.forgetting import TURNS_MAX
from argosy.store.audit import Act, tell
from argosy.store.erasure import ErasureRow, Erasures
from argosy.store.pool import Pool
from argosy.workers.maintenance.erasure_waits import ErasureWaits
from argosy.workers.maintenance.forgetting import GraphsForgetting
from argosy.workers.maintenance.role import Ticked

_AT_ONCE: Final = 20  # erasures of one look: others' turn comes with the next ticks
_RECORDS_MAX: Final = 2_000  # of the log that are looked at in one statement
_FIRST: Final = (datetime.min.replace(tzinfo=UTC), uuid.UUID(int=0))


class WaitsError(Exception):
    """A stage cannot go on now. Its text says what it waits for."""


class Erasing:
    """The role erase; see workers/maintenance/role.py. share_s: how long one tick may take."""

    name = ROLE

    def __init__(self, settings: Settings, pool: Pool, graphs: GraphsForgetting, clock: Clock, share_s: float) -> None:
        self._batch_max = settings.retention_batch_max
        # A mark is made each twenty-fourth of the lag (role trim), and it is trimmed up to the one that is old enough.
        self._lag_s = settings.trim_lag_s * 26 / 24 if settings.log_backend == "kafka" else None
        self._audit_s = settings.audit_retention_s
        self._pool = pool
        self._graphs = graphs
        self._clock = clock
        self._share_s = share_s
        self._after = _FIRST
        self._waits = ErasureWaits(settings.erasure_late_s)

    async def tick(self, term: int) -> Ticked:
        until_s = self._clock.monotonic_s() + self._share_s
        store = Erasures(self._pool, self.name, term)
        rows = await store.open(self._after, _AT_ONCE)
        self._after = (rows[-1].asked_at, rows[-1].erasure_id) if len(rows) == _AT_ONCE else _FIRST
        done = waiting = 0
        for row in rows:
            is_done, is_waiting = await self._go_on(store, row, until_s)
            done, waiting = done + is_done, waiting + is_waiting
        self._waits.measure(await store.waiting())
        return Ticked(f"{done} erasures done, {waiting} wait", len(rows) > done + waiting)

    async def _go_on(self, store: Erasures, row: ErasureRow, until_s: float) -> tuple[bool, bool]:
        """Do stages of an erasure until the time is over; whether it is done, and whether it waits."""
        while row.stage is not Stage.DONE:
            try:
                is_over = await self._do(store, row, until_s)
            except (OwnershipLostError, StoreUnavailableError):
                raise
            except (WaitsError, ArgosyError) as error:
                why = str(error) or type(error).__name__
                self._waits.say(row, why)
                await store.note(row, row.cursor, why)
                return False, True
            if not is_over:
                return False, False
            await store.step(row, FOLLOWING[row.stage])
            crash_points.reach("erase_stepped")
            row = row._replace(stage=FOLLOWING[row.stage], cursor="")
        if row.kind is ErasureKind.TENANT:
            tell(Act("role", ROLE, None, row.tenant, "tenant.erased", str(row.erasure_id)))
        return True, False

    async def _do(self, store: Erasures, row: ErasureRow, until_s: float) -> bool:
        """Do a stage, as much as the time allows; whether it is over."""
        match row.stage:
            case Stage.READING:
                if row.fenced_at is not None:
                    await store.cancel(row, self._batch_max)
                if row.fence_s:
                    raise WaitsError(
                        f"gateways may have let in requests, which come until {row.fenced_at:%H:%M:%S} UTC"
                    )
                if lanes := await store.unread(row):
                    raise WaitsError(unread_words(lanes))
            case Stage.ENDING:
                if await store.cancel(row, self._batch_max):
                    raise WaitsError(
                        "its turns have to end first, at dispatch workers of their lanes: they were cancelled"
                    )
            case Stage.GRAPHS:
                await self._drop(store, row, until_s)
            case Stage.TURNS:
                return await self._erase_turns(store, row, until_s)
            case Stage.JOBS:
                while await store.erase_jobs(row, self._batch_max):
                    if self._clock.monotonic_s() > until_s:
                        return False
            case Stage.STRAYS:
                needle = needle_of(row.kind, row.tenant, row.lane, row.target or "")
                while await store.erase_strays(row, needle, self._batch_max):
                    if self._clock.monotonic_s() > until_s:
                        return False
            case Stage.LOG:
                return await self._erase_log(store, row, until_s)
        return True

    async def _drop(self, store: Erasures, row: ErasureRow, until_s: float) -> None:
        if row.kind is ErasureKind.TURN:
            return
        if await store.drop_graphs(row, self._batch_max):
            await self._graphs.drop(row.tenant, until_s)
            if left := await store.drop_graphs(row, self._batch_max):
                raise WaitsError(f"graphs have to be dropped by their shards: {left} or more are left")

    async def _erase_turns(self, store: Erasures, row: ErasureRow, until_s: float) -> bool:
        while turns := await store.turns(row, min(self._batch_max, TURNS_MAX)):
            # Of a tenant, too: turns that were open have made graphs and jobs after those that go as a whole.
            if not await self._erase_jobs_of(store, row, [turn.turn_id for turn in turns], until_s):
                return False
            while (name := await self._graphs.forget(store, row, turns, until_s)) is not None:
                row = row._replace(cursor=name)
                await store.note(row, name, "")
                if self._clock.monotonic_s() > until_s:
                    return False
            where = sorted(turns, key=lambda turn: (turn.lane, turn.partition))
            for (lane, partition), some in groupby(where, key=lambda turn: (turn.lane, turn.partition)):
                await store.erase_turns(row, lane, partition, [turn.turn_id for turn in some])
                crash_points.reach("erase_scrubbed")
            row = row._replace(cursor="")
            await store.note(row, "", "")
            if self._clock.monotonic_s() > until_s:
                return False
        return True

    async def _erase_jobs_of(
        self, store: Erasures, row: ErasureRow, turn_ids: Sequence[uuid.UUID], until_s: float
    ) -> bool:
        """Erase what turns uploaded; whether that is over."""
        while jobs := await store.end_jobs_of(row, turn_ids, min(self._batch_max, TURNS_MAX)):
            forgotten = await self._graphs.forget_jobs(store, row, jobs, until_s)
            crash_points.reach("erase_unfed")
            await store.erase_ended_jobs(row, forgotten)
            if self._clock.monotonic_s() > until_s:
                return False
        return True

    async def _erase_log(self, store: Erasures, row: ErasureRow, until_s: float) -> bool:
        number, position = (int(each) for each in (row.cursor or "0 0").split())
        partitions = await store.log_partitions()
        while number < len(partitions):
            found = await store.erase_log(row, *partitions[number], position, _RECORDS_MAX)
            number, position = (number + 1, 0) if found is None else (number, found)
            if self._clock.monotonic_s() > until_s:
                await store.note(row, f"{number} {position}", "")
                return False
        await store.name_left(row, self._lag_s)
        await store.name_audit(row, self._audit_s)
        return True
