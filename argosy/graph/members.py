"""The shards as this process knows them: the directory's members, and a line to each.

The table is read again, and every member looked at, each GRAPH_WATCH_S; the table at once when a graph is on a member
that is not known yet. While Postgres is away the members stay as they are. One that does not answer is looked at again
within a second, by this loop alone, however many calls and turns wait for it. Who wants to hear that a member is back
says so by `follow`.
"""

import asyncio
import random
import uuid
from collections.abc import Callable
from typing import Final, Protocol

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import ShardUnavailableError
from argosy.graph.breaker import Breaker
from argosy.graph.facts import Member
from argosy.graph.line import Line
from argosy.graph.transport import Connect
from argosy.rounds import Rounds
from argosy.store.graph import ShardRow, ShardState

# Between two looks at a member that does not answer, with jitter: each process notices its return in its own time.
_LOOK_AGAIN_S: Final = 1.0
NO_SHARDS: Final = (
    "there are no shards for graphs: `argosy up` starts one when argosy[graph] is installed (pip install "
    "'argosy[graph]'); elsewhere start `argosy shard`, and set GRAPH_SERVICE_ENDPOINTS"
)


class Table(Protocol):
    """Where the members stand: Directory, or seed.Listed."""

    async def shards(self) -> list[ShardRow]: ...


class Members:
    """The members, and a line to each, which is opened when it is needed and closed when its member goes or moves."""

    def __init__(self, table: Table, connect: Connect, settings: Settings, clock: Clock) -> None:
        self._table = table
        self._connect = connect
        self._failures_max = settings.engine_breaker_threshold
        self._pause_s = settings.engine_breaker_cooldown
        self._interval_s = settings.graph_watch_s
        self._clock = clock
        self._rows: dict[uuid.UUID, ShardRow] = {}
        self._lines: dict[uuid.UUID, Line] = {}
        self._followers: list[Callable[[uuid.UUID], None]] = []

    def follow(self, after_return: Callable[[uuid.UUID], None]) -> None:
        """Call this with each member that answers after it did not, or for the first time."""
        self._followers.append(after_return)

    def after_return(self, shard: uuid.UUID) -> None:
        for follower in self._followers:
            follower(shard)

    @property
    def all(self) -> list[Member]:
        return [row.member for row in self._rows.values()]

    @property
    def are_none(self) -> bool:
        return not self._rows

    @property
    def active(self) -> list[uuid.UUID]:
        """The members that take new graphs."""
        return [row.member_id for row in self._rows.values() if row.state is ShardState.ACTIVE]

    @property
    def for_new(self) -> list[uuid.UUID]:
        """The members that new graphs go to: of those that take new ones the ones that answer, if any does."""
        return [each for each in self.active if self.is_up(each) is not False] or self.active

    def is_up(self, member_id: uuid.UUID) -> bool | None:
        """Whether a member answered when it was asked last; None: it was not asked yet."""
        line = self._lines.get(member_id)
        return None if line is None else line.is_up

    def why_not(self, member_id: uuid.UUID) -> str:
        """Why a member did not answer when it was asked last; empty: it did, or was not asked yet."""
        line = self._lines.get(member_id)
        return "" if line is None else line.why_not

    async def line(self, member_id: uuid.UUID) -> Line:
        """Return the line to a member. Raises ShardUnavailableError when there is no such member."""
        if member_id not in self._rows:
            await self.refresh()
        if (line := self._lines.get(member_id)) is not None:
            return line
        if (row := self._rows.get(member_id)) is None:
            error = ShardUnavailableError(f"there is no shard {member_id}")
            error.shard = member_id
            raise error
        line = self._lines[member_id] = self._line_to(row)
        return line

    async def refresh(self) -> None:
        """Read the members again. Raises StoreUnavailableError."""
        rows = {row.member_id: row for row in await self._table.shards()}
        gone = [line for key, line in self._lines.items() if key not in rows or line.member != rows[key].member]
        self._rows = rows
        endpoints = {row.endpoint for row in rows.values()}
        for line in gone:
            del self._lines[line.member.member_id]
            if line.member.endpoint not in endpoints:
                telemetry.SHARD_UP.remove(line.member.endpoint)  # nobody asks there any more
        # Calls that are under way at a member that moved or went end with their connection.
        await asyncio.gather(*(line.close() for line in gone))

    async def look(self) -> None:
        """Look which members answer."""
        lines = [await self.line(member_id) for member_id in list(self._rows)]
        await asyncio.gather(*(line.look() for line in lines))

    async def check_lists(self) -> None:
        """Look which members that answer enforce access control lists; `why_not` says which do not."""
        await asyncio.gather(*(line.check_lists() for line in self._lines.values() if line.is_up))

    async def watch(self) -> None:
        """Read the members again and look at them, for ever."""
        rounds, next_s = Rounds("shard watch", self._clock), 0.0
        while True:
            async with rounds:
                if self._clock.monotonic_s() >= next_s:
                    next_s = self._clock.monotonic_s() + self._interval_s
                    with rounds.outlive():
                        await self.refresh()
                    await self.look()
                else:
                    await asyncio.gather(*(each.look() for each in self._lines.values() if each.is_up is False))
            left_s = next_s - self._clock.monotonic_s()
            await self._clock.sleep(max(0.0, min(left_s, random.uniform(0.5, 1.0) * _LOOK_AGAIN_S)))

    async def close(self) -> None:
        lines, self._lines = list(self._lines.values()), {}
        await asyncio.gather(*(line.close() for line in lines), return_exceptions=True)

    def _line_to(self, row: ShardRow) -> Line:
        breaker = Breaker(self._failures_max, self._pause_s, self._pause_s)
        return Line(row.member, self._connect.to(row.member), breaker, self._clock, self)
