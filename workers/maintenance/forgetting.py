"""What the role erase asks of shards: to drop graphs, and to forget what turns wrote and uploaded into others."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from argosy import crash_points
from argosy.clock import Clock
from argosy.errors import ArgosyError, ShardUnavailableError, StoreUnavailableError
from argosy.graph.facts import NOBODY, FencingToken
from argosy.graph.forgetting import ForgetFeed, ForgetTurns
from argosy.graph.line import Again
from argosy.graph.lives import Lives
from argosy.graph.members import Members
from argosy.ingest.job import feed_of
from argosy.store.erasure import ErasableJob, ErasableTurn, ErasureRow, Erasures
from argosy.store.graph import Directory, GraphRow, GraphRowState

_DROPS_MAX: Final = 200  # of one look; the role graphs drops what is left
_DROP_S: Final = 10.0  # for one graph
_FORGET_S: Final = 20.0  # for one call, which does as much as it can
_ATTEMPT: Final = 2**31 - 1  # no attempt of a turn comes later


class GraphsForgetting:
    """The graphs of a tenant, as an erasure sees them."""

    def __init__(self, directory: Directory, members: Members, clock: Clock) -> None:
        self._directory = directory
        self._members = members
        self._lives = Lives(directory, members)
        self._clock = clock
        self._done: tuple[uuid.UUID, str] | None = None  # the erasure and graph that this process was done with last

    async def drop(self, tenant: str, until_s: float) -> None:
        """Drop graphs of a tenant that are marked, as far as their shards answer."""
        for row in await self._directory.dropped(NOBODY, _DROPS_MAX):
            if row.tenant == tenant and self._clock.monotonic_s() < until_s:
                try:
                    await self._lives.end(row, self._clock.monotonic_s() + _DROP_S)
                except StoreUnavailableError:
                    raise
                except ArgosyError:
                    continue  # whoever asks sees that it is still there

    async def forget(
        self, store: Erasures, erasure: ErasureRow, turns: Sequence[ErasableTurn], until_s: float
    ) -> str | None:
        """Have the next graph forget what turns wrote, and return its name; None: there are no more graphs.

        cursor of the erasure: the last graph that is done. Raises what the shard's answer was: then it is not done.
        """
        rows = await self._directory.list(erasure.tenant, erasure.cursor, 1)
        if not rows:
            return None
        row = rows[0]
        # Somebody may have begun with it, and was killed; or this process did, and something failed.
        is_again = self._done != (erasure.erasure_id, erasure.cursor)
        self._done = None
        if row.state is GraphRowState.RESTORING:
            raise ShardUnavailableError(f"graph {row.graph!r} is being restored from a copy")
        if row.state is GraphRowState.ACTIVE:
            asked = ForgetTurns([str(turn.turn_id) for turn in turns], fences_of(turns), is_again)
            while not await self._forgotten(store, erasure, row, asked):
                if self._clock.monotonic_s() > until_s:
                    raise ShardUnavailableError(f"graph {row.graph!r} has more to forget")
                asked = asked._replace(is_again=True)
            await self._has_no_copies(store, row)
        self._done = (erasure.erasure_id, row.graph)
        return row.graph

    async def forget_jobs(
        self, store: Erasures, erasure: ErasureRow, jobs: Sequence[ErasableJob], until_s: float
    ) -> list[uuid.UUID]:
        """Have graphs forget what jobs brought, and take nothing more of them; which jobs: those of one graph at least,
        and of others until the time is over. Raises what a shard's answer was: then it is not done.
        """
        feeds: defaultdict[tuple[str, uuid.UUID], dict[uuid.UUID, ForgetFeed]] = defaultdict(dict)
        for job in jobs:
            made_at_ms = int(job.made_at.timestamp() * 1_000)
            feeds[job.graph, job.incarnation][job.job_id] = ForgetFeed(feed_of(job.job_id), made_at_ms)
        done: list[uuid.UUID] = []
        for (graph, incarnation), its_feeds in feeds.items():
            row = await self._directory.find(erasure.tenant, graph)
            if row is not None and row.incarnation == incarnation:
                await self._forget_feeds(store, erasure, row, list(its_feeds.values()), until_s)
            done += its_feeds
            if self._clock.monotonic_s() > until_s:
                break
        return done

    async def _forget_feeds(
        self, store: Erasures, erasure: ErasureRow, row: GraphRow, feeds: list[ForgetFeed], until_s: float
    ) -> None:
        if row.state is GraphRowState.RESTORING:
            raise ShardUnavailableError(f"graph {row.graph!r} is being restored from a copy")
        if row.state is GraphRowState.ACTIVE:
            asked = ForgetTurns([], [], is_again=True, feeds=feeds)
            while not await self._forgotten(store, erasure, row, asked):
                if self._clock.monotonic_s() > until_s:
                    raise ShardUnavailableError(f"graph {row.graph!r} has more to forget")
            await self._has_no_copies(store, row)

    async def _has_no_copies(self, store: Erasures, row: GraphRow) -> None:
        """Raise ShardUnavailableError while another shard may have a copy of a graph from before it has forgotten: one
        that it moves to, moved from, or was to move to.
        """
        if await store.has_copies(row.tenant, row.graph, row.incarnation):
            raise ShardUnavailableError(f"a copy of graph {row.graph!r} is still at another shard")

    async def _forgotten(self, store: Erasures, erasure: ErasureRow, row: GraphRow, turns: ForgetTurns) -> bool:
        line = await self._members.line(row.shard)
        until_s = self._clock.monotonic_s() + _FORGET_S
        forgotten = await line.ask(
            lambda shard, left_s: shard.forget(row.ref, turns, deadline_s=left_s), until_s, Again.ALWAYS
        )
        crash_points.reach("erase_forgot")
        if forgotten.nodes or forgotten.edges:
            await store.note_forgotten(erasure, row.graph, forgotten.nodes, forgotten.edges)
        return forgotten.is_done


def fences_of(turns: Sequence[ErasableTurn]) -> list[FencingToken]:
    """Return a token of each session that is higher than those of its turns here, of those that ever ran, and lower
    than that of any turn of the session that runs later.
    """
    highest: dict[uuid.UUID, tuple[int, int]] = {}
    for turn in turns:
        if turn.place is not None and turn.epoch is not None:
            own = (turn.epoch, turn.place)
            highest[turn.session_id] = max(highest.get(turn.session_id, own), own)
    return [FencingToken(session_id, *own, _ATTEMPT) for session_id, own in highest.items()]
