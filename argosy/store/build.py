"""Which worker can run which version of which workflow, and turns that are lent to another worker for its build.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from argosy.store.head import DueRow, Head
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("build")


class Ability(NamedTuple):
    """A version of a workflow that a worker can run. is_latest: the version of new turns of `name` at this worker."""

    worker_id: uuid.UUID
    name: str
    version: str
    is_latest: bool


class Builds:
    """The reads about what workers can run."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def abilities(self, worker_ids: Iterable[uuid.UUID]) -> list[Ability]:
        """Return the abilities of these workers. The abilities of a registered worker never change."""
        return [Ability(*row) for row in await self._pool.fetch(_SQL["list_abilities"], list(worker_ids))]

    async def lacking(self, turn_ids: Sequence[uuid.UUID], wait_s: float) -> set[uuid.UUID]:
        """Return the turns that no worker of their lane has been able to run for wait_s, by the database's clock."""
        return {row[0] for row in await self._pool.fetch(_SQL["find_lacking"], turn_ids, wait_s)}


class Loan(NamedTuple):
    """A change of which worker runs a turn.

    taken_from: the borrower that loses the turn, None when it is lent. lent_to: the borrower that gets it, None when
    the owner takes it back. lent_as: how the turn goes on then, if it is running.
    """

    partition: int
    epoch: int
    turn_id: uuid.UUID
    taken_from: uuid.UUID | None
    lent_to: uuid.UUID | None
    seq: int
    lent_as: str


class LentTurn(NamedTuple):
    """A turn that was lent, as Postgres has it now.

    lent_as: how it goes on once nobody borrows it; None: as its status says.
    """

    turn_id: uuid.UUID
    status: str
    seq: int
    lent_to: uuid.UUID | None
    lent_as: str | None


class Borrowed(NamedTuple):
    """A turn that was lent to this worker. lent_as: how it goes on here, if it is running. epoch: of its partition, no
    older than the loan.
    """

    head: Head
    lent_as: str
    epoch: int


class Loans:
    """The turns that one worker lends and borrows."""

    def __init__(self, pool: Pool, worker_id: uuid.UUID, lane: str, *, input_size_bytes_max: int) -> None:
        self._pool = pool
        self._worker_id = worker_id
        self._lane = lane
        self._input_max = input_size_bytes_max

    async def change(self, loans: Sequence[Loan]) -> set[uuid.UUID]:
        """Lend turns or take them back, under the owner's fence. Returns the turns for which it was done."""
        held = {each.partition: each.epoch for each in loans}
        columns = zip(*((each.partition, *each[2:]) for each in loans), strict=True)
        rows = await self._pool.fetch(
            _SQL["lend"], self._worker_id, self._lane, list(held), list(held.values()), *columns
        )
        return {row[0] for row in rows}

    async def lent(self, turn_ids: Sequence[uuid.UUID]) -> list[LentTurn]:
        """Return what became of turns that were lent."""
        return [LentTurn(*row) for row in await self._pool.fetch(_SQL["list_lent"], turn_ids)]

    async def borrowed(self, known: Sequence[uuid.UUID], limit: int) -> list[Borrowed]:
        """Return at most `limit` turns that were lent to this worker and that it does not know yet."""
        arguments = (self._worker_id, self._lane, known, self._input_max, limit)
        rows = await self._pool.fetch(_SQL["load_borrowed"], *arguments)
        return [Borrowed(Head(*row[:15])._replace(created_by=row[17]), *row[15:17]) for row in rows]

    async def due(
        self, turn_ids: Sequence[uuid.UUID], known: Sequence[uuid.UUID], rows_max: int, size_bytes_max: int
    ) -> list[DueRow]:
        """Return due inbox rows of these turns and of their duplicates, the oldest first, without those in `known`.

        size_bytes_max: of their payloads, without the last one.
        """
        rows = await self._pool.fetch(_SQL["due_of_turns"], turn_ids, known, rows_max, size_bytes_max)
        return [DueRow._make((*row[:7], None, None, row[7])) for row in rows]

    async def give_back(self, turn_ids: Sequence[uuid.UUID], goes_on_as: str | None = None) -> None:
        """Give borrowed turns back to their owners. goes_on_as: how a running one goes on; None: the same attempt."""
        await self._pool.execute(_SQL["give_back"], turn_ids, self._worker_id, goes_on_as)
