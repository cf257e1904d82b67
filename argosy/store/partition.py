"""Ownership of partitions, what owners leave to the next ones, and the position of each partition in a log.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog

from argosy import telemetry
from argosy.errors import StoreBusyError
from argosy.seal.places import outcome_of
from argosy.store.pool import Pool
from argosy.store.queries import load_queries
from argosy.turn.inbox import RowKind

_SQL: Final = load_queries("partition")

log = structlog.get_logger()


class Claimed(NamedTuple):
    """A partition that this worker has claimed. former_owner, former_epoch: of the claim before."""

    epoch: int
    former_owner: uuid.UUID | None
    former_epoch: int | None


class LogPlace(NamedTuple):
    """How far a partition of a log is accepted. through_s: everything that was appended before this database time;
    -inf: it is not known.
    """

    position: int
    through_s: float


class Orphan(NamedTuple):
    """A partition whose owner does not live, or that has none."""

    partition: int
    epoch: int
    owner: uuid.UUID | None


class Note(NamedTuple):
    """What a former owner left about a partition.

    running: (turn_id, runner) of steps that may still run elsewhere; a runner is WORKER/EPOCH. is_settled: every turn
    that was running when that owner gave the partition up may go on with the same attempt.
    """

    partition: int
    epoch: int
    is_settled: bool
    running: list[tuple[uuid.UUID, str]]


class ResultRow(NamedTuple):
    """An inbox row of a former owner for the turn's present one."""

    bucket: int
    tenant: str
    session_id: uuid.UUID
    turn_id: uuid.UUID
    kind: RowKind  # STEP_RESULT or HANDOVER
    name: str
    correlation: str
    request_id: str
    payload: bytes | None


class Partitions:
    """One worker's claims on the partitions of its lane, and its reads of them."""

    def __init__(self, pool: Pool, worker_id: uuid.UUID, address: str, lane: str) -> None:
        self._pool = pool
        self.worker_id = worker_id
        self._address = address
        self._lane = lane

    async def claim(self, partitions: Sequence[int]) -> dict[int, Claimed]:
        """Claim the partitions. From here on nothing can be written under an older epoch of them."""
        return await self._claim(partitions, None)

    async def adopt(self, orphans: Sequence[Orphan]) -> dict[int, Claimed]:
        """Claim those of the orphans that still have the epoch that was seen: a worker that was faster keeps them."""
        return await self._claim([each.partition for each in orphans], [each.epoch for each in orphans])

    async def _claim(self, partitions: Sequence[int], expected: Sequence[int] | None) -> dict[int, Claimed]:
        arguments = (self.worker_id, self._address, self._lane, partitions, expected)
        try:
            rows = await self._pool.fetch(_SQL["claim"], *arguments)
        except StoreBusyError:
            ended = await self._pool.fetchval(_SQL["end_holders"], self._lane, partitions)
            log.warning(telemetry.FLUSH_HOLDERS_ENDED, backends=ended)
            rows = await self._pool.fetch(_SQL["claim"], *arguments)
        return {row[0]: Claimed(*row[1:]) for row in rows}

    async def give(
        self,
        partitions: Sequence[int],
        epochs: Sequence[int],
        settled: Sequence[bool],
        running: Sequence[tuple[int, uuid.UUID, str]] = (),
    ) -> None:
        """Give partitions up, if this worker still owns them under these epochs.

        Leaves a note of what still runs of their turns. running: (partition, turn_id, runner).
        """
        columns = list(zip(*running, strict=True)) if running else [(), (), ()]
        await self._pool.execute(_SQL["give"], self.worker_id, self._lane, partitions, epochs, settled, *columns)

    async def owned(self) -> dict[int, int]:
        """Return what this worker owns according to Postgres: partition → epoch."""
        return {row[0]: row[1] for row in await self._pool.fetch(_SQL["list_owned"], self._lane, self.worker_id)}

    async def orphans(self, living: Sequence[uuid.UUID]) -> list[Orphan]:
        """Return the partitions of the lane without an owner among the `living` workers."""
        return [Orphan(*row) for row in await self._pool.fetch(_SQL["list_orphans"], self._lane, living)]

    async def notes(self, partitions: Sequence[int]) -> list[Note]:
        """Return the notes that former owners left about these partitions, of all epochs.

        An older note counts while no newer one is there.
        """
        rows: list[Any] = await self._pool.fetch(_SQL["load_notes"], self._lane, partitions)
        return [Note(row[0], row[1], row[2], [tuple(each) for each in row[3]]) for row in rows]

    async def crashes(self, partitions: Sequence[int], dead: Sequence[int]) -> dict[int, float]:
        """Return when an owner of each partition last died: database time, 0 for never.

        dead: partitions whose former owner has died; that is written down first, whichever worker owns them now.
        """
        rows = await self._pool.fetch(_SQL["mark_crashes"], self._lane, partitions, dead)
        return {row[0]: row[1] for row in rows}

    async def write_results(self, rows: Sequence[ResultRow]) -> None:
        """Write what a former owner still has to tell the present one. A repetition changes nothing."""
        if rows:
            rows = await self._sealed(rows)
            await self._pool.execute(_SQL["insert_results"], self._lane, *zip(*rows, strict=True))

    async def _sealed(self, rows: Sequence[ResultRow]) -> Sequence[ResultRow]:
        sealers = await self._pool.seals.sealers({each.tenant for each in rows})
        return [
            each._replace(payload=sealer.seal(each.payload, outcome_of(each.tenant, each.turn_id, each.correlation)))
            if each.payload is not None and (sealer := sealers.get(each.tenant)) is not None
            else each
            for each in rows
        ]

    async def open_positions(self, log_id: str, begins: Mapping[int, int]) -> dict[int, LogPlace]:
        """Return how far each partition of this log is; one that was never read begins where the log does."""
        await self._pool.execute(_SQL["open_positions"], log_id, self._lane, list(begins), list(begins.values()))
        rows = await self._pool.fetch(_SQL["list_positions"], log_id, list(begins))
        return {row[0]: LogPlace(row[1], row[2]) for row in rows}
