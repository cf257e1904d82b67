"""Asking a graph where it is, and again where it has come to meanwhile.

Rules:
- A call carries incarnation and generation of the directory's row, and a shard that has the graph otherwise, or not at
  all, refuses it with WrongOwnerError: nothing was changed. Then the row is read again.
- If it has changed, the call is made again, there. A shard that is no member any more, or answers elsewhere now, counts
  as one that refuses: a row that names it may be old, too.
- If it has not, and the graph is on its way between two shards, both may refuse it for moments: whoever asks waits
  until the row says another thing, and asks again. GraphMovingError: it did not until the deadline. A call that
  consumes a stream is not made twice, so it is not made to wait either.
- If it has not, and the graph is not on its way, it is asked once more: the move may have ended between the refusal and
  the look. Refused again, by the right shard, the graph's file is gone (GraphMissingError): a row is marked before its
  shard forgets the graph, and gets another generation with each move.
"""

import random
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, TypeVar

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import GraphFileError, GraphMissingError, GraphMovingError, ShardUnavailableError, WrongOwnerError
from argosy.graph.asker import Asker
from argosy.graph.facts import GraphName, GraphRef
from argosy.graph.line import Again
from argosy.graph.lookup import Lookup
from argosy.graph.members import Members
from argosy.graph.sealing import Sealing
from argosy.graph.transport import Transport
from argosy.graph.unusable import Unusable
from argosy.store.graph import GraphRow

T = TypeVar("T")
Work = Callable[[Transport, GraphRef, float], Awaitable[T]]

_PAUSE_S_MIN: Final = 0.02  # a small graph takes no writes for some milliseconds
_PAUSE_S_MAX: Final = 0.2  # what a large one's writers wait is longer than this
_AGAIN: Final = telemetry.GRAPH_LOOKUPS.labels(where="again")


class Asking:
    """Asks the shards of graphs."""

    def __init__(self, lookup: Lookup, members: Members, sealing: Sealing, unusable: Unusable, clock: Clock) -> None:
        self._lookup = lookup
        self._members = members
        self._sealing = sealing
        self._unusable = unusable
        self._clock = clock

    async def ask(
        self,
        name: GraphName,
        work: Work[T],
        again: Again,
        until_s: float,
        incarnation: uuid.UUID | None = None,
        *,
        is_quick: bool = False,
    ) -> T:
        """Return what `work` returns of the graph's shard. incarnation: the only one that is asked; None: whichever
        there is.
        """
        if again is Again.NEVER:
            return await self._ask_once(name, work, until_s, incarnation)
        row = await self._lookup.find(name, until_s, incarnation)
        was_settled = False
        while True:
            try:
                return await self._ask(row, work, again, until_s, is_quick=is_quick)
            except WrongOwnerError as error:
                row, was_settled = await self._next(row, error, until_s, incarnation, was_settled=was_settled)

    async def export(self, name: GraphName, until_s: float, asker: Asker | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a copy of the graph. What was begun is not begun again."""
        row, was_settled, has_begun = await self._lookup.read(name, until_s), False, False
        while True:
            line = await self._members.line(row.shard)
            try:
                ref = row.ref if asker is None else row.ref._replace(asker=asker)
                shard = self._sealing.through(line.transport, ref)
                async for each in shard.export(ref, deadline_s=until_s - self._clock.monotonic_s()):
                    has_begun = True
                    yield each
                return
            except WrongOwnerError as error:
                if has_begun:
                    raise
                row, was_settled = await self._next(row, error, until_s, None, was_settled=was_settled)

    async def _ask_once(self, name: GraphName, work: Work[T], until_s: float, incarnation: uuid.UUID | None) -> T:
        """Ask with what is consumed by it: so the row must not be old."""
        row = await self._lookup.read(name, until_s, incarnation)
        try:
            return await self._ask(row, work, Again.NEVER, until_s, is_quick=False)
        except WrongOwnerError as error:
            now = await self._lookup.read(name, until_s, incarnation)
            if now.is_moving or not _is_same(now, row):
                raise GraphMovingError(f"the graph came to another shard meanwhile: {error}") from error
            raise

    async def _next(
        self, row: GraphRow, error: WrongOwnerError, until_s: float, incarnation: uuid.UUID | None, *, was_settled: bool
    ) -> tuple[GraphRow, bool]:
        """Return the row by which the graph is asked after its shard refused it by this one, and whether it has not
        changed and the graph is not on its way. was_settled: the same, of this row.
        """
        _AGAIN.inc()
        name = GraphName(row.tenant, row.graph)
        now = await self._lookup.read(name, until_s, incarnation)
        if now is row:  # one that is remembered while Postgres is away proves nothing
            raise error
        if _is_same(now, row) and not now.is_moving:
            if was_settled:
                await self._check_missing(row, error, until_s)
                raise error
            return now, True
        pause_s = _PAUSE_S_MIN
        while _is_same(now, row) and now.is_moving:
            delay_s = random.uniform(0.5, 1.0) * pause_s
            if self._clock.monotonic_s() + delay_s >= until_s:
                raise GraphMovingError("the graph is being moved to another shard, which takes longer") from error
            await self._clock.sleep(delay_s)
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)
            now = await self._lookup.read(name, until_s, incarnation)
        return now, False

    async def _ask(self, row: GraphRow, work: Work[T], again: Again, until_s: float, *, is_quick: bool) -> T:
        try:
            line = await self._members.line(row.shard)
        except ShardUnavailableError as error:
            raise WrongOwnerError(str(error)) from error
        try:
            return await line.ask(
                lambda shard, left_s: work(self._sealing.through(shard, row.ref), row.ref, left_s),
                until_s,
                again,
                is_quick=is_quick,
            )
        except GraphFileError as error:
            self._unusable.say(row, line.member, error)
            raise
        except ShardUnavailableError as error:
            if line.is_closed:
                raise WrongOwnerError(str(error)) from error
            raise

    async def _check_missing(self, row: GraphRow, refusal: WrongOwnerError, until_s: float) -> None:
        """Raise GraphMissingError if it is seen by until_s that the row's shard refused the graph: no other folder."""
        line = await self._members.line(row.shard)
        if await line.is_right(until_s):
            error = GraphMissingError(f"the graph's file is gone: {refusal}")
            self._unusable.say(row, line.member, error)
            raise error from None


def _is_same(one: GraphRow, other: GraphRow) -> bool:
    """Whether both rows say that the same life is at the same shard in the same generation."""
    return (one.ref, one.shard) == (other.ref, other.shard)
