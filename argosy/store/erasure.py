"""Erasures: asked for and read with their tenant, and done by the role erase, whose every write names its term.

Raises: StoreUnavailableError; a write of the role: OwnershipLostError (the term is over: nothing was written)
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from argosy.erasure import ErasureKind, Needle, Stage
from argosy.store.audit import Act, arguments, tell
from argosy.store.leader import rows_as, write_as
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("erasure")


class NewErasure(NamedTuple):
    """An erasure that is asked for. target: None of a tenant. session_id, bucket: of what it is about, if any."""

    erasure_id: uuid.UUID
    tenant: str
    lane: str
    kind: ErasureKind
    target: str | None
    target_digest: bytes
    session_id: uuid.UUID | None
    bucket: int | None


class ErasureRow(NamedTuple):
    """An erasure. target: None of a tenant, and once it is done. waits_for: why it does not go on; empty: it does.
    through_at: what was accepted until then goes; None: the log is still being read. changed_at: since then nothing of
    this has changed, and for quiet_s by now. fenced_at: of a tenant that is deleted: nothing that was let in before
    comes after that, which is fence_s from now.
    """

    erasure_id: uuid.UUID
    tenant: str
    lane: str
    kind: ErasureKind
    target: str | None
    target_digest: bytes
    session_id: uuid.UUID | None
    bucket: int | None
    stage: Stage
    cursor: str
    waits_for: str
    through_at: datetime | None
    asked_at: datetime
    changed_at: datetime
    ended_at: datetime | None
    quiet_s: float
    fenced_at: datetime | None
    fence_s: float | None


class UnreadLane(NamedTuple):
    """A lane in which records may lie that came before it was asked for. through: read up to then; None: never."""

    lane: str
    through: datetime | None


class WaitingErasures(NamedTuple):
    """How many erasures cannot go on in a stage; for how long nothing of them has changed at the most."""

    stage: Stage
    erasures: int
    quiet_s: float


class Item(NamedTuple):
    """A line of a receipt: so many of these were removed there; or what is left there, until then (None: until somebody
    sees to it).
    """

    place: str
    what: str
    removed: int
    until: datetime | None


class ErasableTurn(NamedTuple):
    """A turn that is to be erased. place: in its session, of one that ever ran. epoch: of its partition's claim."""

    turn_id: uuid.UUID
    lane: str
    partition: int
    session_id: uuid.UUID
    place: int | None
    epoch: int | None


class ErasableJob(NamedTuple):
    """A job of ingest that has ended, and is to be erased. incarnation: the life of the graph that it is about."""

    job_id: uuid.UUID
    graph: str
    incarnation: uuid.UUID
    made_at: datetime


async def begin_erasure(pool: Pool, new: NewErasure, act: Act | None = None) -> None:
    """Ask for an erasure, unless one of this id was asked for before. act: what the audit says of it."""
    if act is None:
        await pool.execute(_SQL["begin_erasure"], *new)
    elif await pool.fetch(_SQL["begin_audited_erasure"], *new, *arguments(act)):
        tell(act)


async def get_erasure(pool: Pool, erasure_id: uuid.UUID, tenant: str) -> ErasureRow | None:
    row = await pool.fetchrow(_SQL["get_erasure"], erasure_id, tenant)
    return None if row is None else _row(row)


async def get_deletion(pool: Pool, tenant: str) -> ErasureRow | None:
    """Return the erasure by which a tenant of this name was deleted last."""
    row = await pool.fetchrow(_SQL["get_deletion"], tenant)
    return None if row is None else _row(row)


async def list_erasures(pool: Pool, tenant: str, *, before: tuple[datetime, uuid.UUID], limit: int) -> list[ErasureRow]:
    """Return at most `limit` erasures of a tenant that were asked for before `before`, the newest first."""
    return [_row(row) for row in await pool.fetch(_SQL["list_erasures"], tenant, *before, limit)]


async def receipts_of(pool: Pool, erasure_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Item]]:
    """Return what came of erasures so far, each line in the order of places."""
    found: defaultdict[uuid.UUID, list[Item]] = defaultdict(list)
    for erasure_id, *item in await pool.fetch(_SQL["get_items"], erasure_ids):
        found[erasure_id].append(Item(*item))
    return found


class Erasures:
    """What the role does, under one term. Each method does a bounded part, and does nothing twice."""

    def __init__(self, pool: Pool, role: str, term: int) -> None:
        self._pool = pool
        self._role = role
        self._term = term

    async def open(self, after: tuple[datetime, uuid.UUID], limit: int) -> list[ErasureRow]:
        """Return at most `limit` erasures that are not done, the oldest first, that were asked for after `after`."""
        return [_row(row) for row in await self._pool.fetch(_SQL["list_open"], *after, limit)]

    async def step(self, row: ErasureRow, to: Stage) -> None:
        """Go on to a stage, unless somebody has."""
        await self._write("step_erasure", row.erasure_id, row.stage, to)

    async def note(self, row: ErasureRow, cursor: str, waits_for: str) -> None:
        """Write down how far the stage is, and what it waits for."""
        await self._write("note_erasure", row.erasure_id, row.stage, cursor, waits_for)

    async def note_forgotten(self, row: ErasureRow, graph: str, nodes: int, edges: int) -> None:
        """Count what a shard has removed from a graph."""
        await self._write("note_forgotten", row.erasure_id, graph, nodes, edges)

    async def waiting(self) -> list[WaitingErasures]:
        return [WaitingErasures(Stage(each[0]), *each[1:]) for each in await self._pool.fetch(_SQL["count_waiting"])]

    async def unread(self, row: ErasureRow) -> list[UnreadLane]:
        """Return lanes in which records may lie, or starts, that were there before it was asked for."""
        return [UnreadLane(*each) for each in await self._pool.fetch(_SQL["find_unread"], row.erasure_id)]

    async def turns(self, row: ErasureRow, limit: int) -> list[ErasableTurn]:
        """Return at most `limit` of its turns that have ended: the same ones until these are erased."""
        return [ErasableTurn(*each) for each in await self._pool.fetch(_SQL["list_turns"], row.erasure_id, limit)]

    async def cancel(self, row: ErasureRow, limit: int) -> int:
        """Cancel its turns that are open; how many there are, `limit` at the most."""
        return int(await self._write("cancel_turns", row.erasure_id, limit))

    async def erase_turns(self, row: ErasureRow, lane: str, partition: int, turn_ids: Sequence[uuid.UUID]) -> int:
        """Erase turns of one partition that have ended."""
        return int(await self._write("erase_turns", row.erasure_id, lane, partition, turn_ids))

    async def drop_graphs(self, row: ErasureRow, limit: int) -> int:
        """Let nobody find the graphs that go as a whole; how many are not gone yet, `limit` at the most."""
        return int(await self._write("drop_graphs", row.erasure_id, limit))

    async def erase_jobs(self, row: ErasureRow, limit: int) -> int:
        return int(await self._write("erase_jobs", row.erasure_id, limit))

    async def end_jobs_of(self, row: ErasureRow, turn_ids: Sequence[uuid.UUID], limit: int) -> list[ErasableJob]:
        """End jobs that these turns started, at most `limit`, and return them: the same ones until these are erased."""
        rows = await rows_as(self._pool, _SQL["end_jobs_of"], self._role, self._term, row.erasure_id, turn_ids, limit)
        return [ErasableJob(*each) for each in rows]

    async def erase_ended_jobs(self, row: ErasureRow, job_ids: Sequence[uuid.UUID]) -> None:
        """Erase jobs that have ended, or a part of what was refused of them."""
        await self._write("erase_ended_jobs", row.erasure_id, job_ids)

    async def has_copies(self, tenant: str, graph: str, incarnation: uuid.UUID) -> bool:
        """Whether another shard may have a copy of this life of a graph: a move is under way, or its rest is."""
        return bool(await self._pool.fetchval(_SQL["has_copies"], tenant, graph, incarnation))

    async def erase_strays(self, row: ErasureRow, needle: Needle, limit: int) -> int:
        """Erase what belongs to no turn; how many rows."""
        return int(await self._write("erase_strays", row.erasure_id, *needle, limit))

    async def log_partitions(self) -> list[tuple[uuid.UUID, int]]:
        """Return the partitions of Postgres's own logs, topic by topic."""
        return [(each[0], each[1]) for each in await self._pool.fetch(_SQL["list_log_partitions"])]

    async def erase_log(
        self, row: ErasureRow, topic_id: uuid.UUID, partition: int, position: int, limit: int
    ) -> int | None:
        """Empty records of what was erased, among `limit` from a position on; where to go on, None at the end."""
        next_position = await self._write("erase_log", row.erasure_id, topic_id, partition, position, limit)
        return None if next_position is None else int(next_position)

    async def name_left(self, row: ErasureRow, lag_s: float | None) -> None:
        """Name in the receipt the backups, and the logs outside Postgres, which have records for lag_s from now; None:
        there are none.
        """
        await self._write("name_left", row.erasure_id, lag_s)

    async def name_audit(self, row: ErasureRow, retention_s: float) -> None:
        """Name in the receipt of a tenant's erasure what the audit keeps, and until when."""
        await self._write("name_audit", row.erasure_id, retention_s)

    async def _write(self, statement: str, *arguments: Any) -> Any:
        return await write_as(self._pool, _SQL[statement], self._role, self._term, *arguments)


async def purge_erasures(pool: Pool, role: str, term: int, age_s: float, limit: int) -> int:
    """Forget erasures that were done at least age_s ago; how many."""
    return int(await write_as(pool, _SQL["purge_erasures"], role, term, age_s, limit))


def _row(row: Sequence[Any]) -> ErasureRow:
    made = ErasureRow._make(row)
    return made._replace(kind=ErasureKind(made.kind), stage=Stage(made.stage))
