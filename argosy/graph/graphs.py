"""The client of the graph plane: graphs by tenant and name, on whichever shard they are.

Rules:
- Where a graph is says the directory in Postgres, whose rows are remembered (argosy/graph/lookup.py). That is safe at
  any age: a shard refuses a call by a row that is old, and then it is read again (argosy/graph/asking.py).
- With an embedder, a search by text is one by the text's vector, too (argosy/graph/bound.py).
- A creation asks Postgres always: turns record its answer as the life they write to, and a remembered row may be old.
- A row is no right: whoever asks has been found to be of the tenant before.
"""

import asyncio
import builtins
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import BinaryIO, Final, TypeVar

from argosy.clock import Clock, SystemClock
from argosy.config import Settings
from argosy.errors import (
    CopyBrokenError,
    GraphInputError,
    GraphNameError,
    UnavailableError,
)
from argosy.graph.asker import Asker, told
from argosy.graph.asking import Asking
from argosy.graph.bound import BoundGraph
from argosy.graph.embedder import Embedder
from argosy.graph.facts import NOBODY, GraphName, GraphRef
from argosy.graph.line import Again
from argosy.graph.lives import Lives
from argosy.graph.lookup import Lookup, not_found
from argosy.graph.members import Members
from argosy.graph.names import checked, checked_new, is_own, owner_of
from argosy.graph.row_cache import RowCache
from argosy.graph.sealing import Sealing, check_kind
from argosy.graph.seed import Seed
from argosy.graph.snapshot import Snapshot, send_snapshot, write_snapshot
from argosy.graph.transport import Connect, Transport
from argosy.graph.unusable import Unusable
from argosy.store.graph import Directory, GraphRow, GraphRowState, NewGraph
from argosy.store.pool import Pool

T = TypeVar("T")

TTL_S_MIN: Final = 60.0  # use begins a life anew, with a write every _EXTENDED_S: shorter lives would cost more of them
TTL_S_MAX: Final = 10 * 366 * 86_400.0  # ten years: what is to last longer has no ttl_s
_ROUNDS_MAX: Final = 5  # of a creation that meets others who drop and create the same name
_EXTENDED_S: Final = TTL_S_MIN / 20  # a life is not begun anew by one process more often than this
_RESTORE_S: Final = 86_400.0  # a copy that was not restored within this is dropped


class Graphs:
    """The graphs of all tenants, as one process asks for them. Used on one event loop."""

    def __init__(
        self,
        directory: Directory,
        members: Members,
        settings: Settings,
        clock: Clock,
        embedder: Embedder | None = None,
    ) -> None:
        self.embedder = embedder
        self._directory = directory
        self._members = members
        self._lives = Lives(directory, members)
        self._lookup = Lookup(directory, members, self._lives, settings, clock)
        self._extended = RowCache(settings.graph_cache_max, _EXTENDED_S)
        self._sealing = Sealing(directory, settings)
        unusable = Unusable(settings.graph_cache_max, clock)
        self._asking = Asking(self._lookup, members, self._sealing, unusable, clock)
        self._clock = clock
        self.timeout_s = settings.graph_timeout_s
        self.are_guarded: Final = settings.kg_brain_enforce
        self.are_askers_known: Final = settings.kg_auth_required
        self._told: Final = partial(told, is_known=self.are_askers_known, enforces=self.are_guarded)

    def follow_shards(self, after_return: Callable[[uuid.UUID], None]) -> None:
        """Call this with each shard that answers after it did not, or for the first time."""
        self._members.follow(after_return)

    def is_shard_up(self, member_id: uuid.UUID) -> bool | None:
        """Whether a shard answered when this process asked it last; None: it has not asked it yet."""
        return self._members.is_up(member_id)

    def why_not(self, member_id: uuid.UUID) -> str:
        """Why a shard did not answer when this process asked it last; empty: it did, or was not asked yet."""
        return self._members.why_not(member_id)

    async def create(
        self,
        tenant: str,
        graph: str,
        *,
        session_id: uuid.UUID | None = None,
        ttl_s: float | None = None,
        incarnation: uuid.UUID | None = None,
        asker: Asker | None = None,
        is_sealed: bool | None = None,
    ) -> GraphRow:
        """Return the graph of this name, which is made unless it is there. Raises GraphNameError, GraphSealedError.

        session_id: of the session whose own graph it is, and with which it goes. ttl_s: how long a new one lives when
        nobody asks for it in this way any more; it begins anew, within a tenth, whenever somebody does. None: as long
        as it is not dropped. incarnation: of a new one, when it is a life that was there before. asker: who makes it.
        is_sealed: whether its props are (argosy/graph/sealing.py); None: one that is there may be either.
        """
        name = checked_new(tenant, graph)
        if ttl_s is not None and not TTL_S_MIN <= ttl_s <= TTL_S_MAX:
            raise GraphInputError(f"a graph's ttl_s is {TTL_S_MIN:g} to {TTL_S_MAX:g} seconds, not {ttl_s:g}")
        until_s = self._clock.monotonic_s() + self.timeout_s
        for _ in range(_ROUNDS_MAX):
            row = await self._directory.find(*name)
            if row is None and session_id is None and is_own(graph):
                raise GraphNameError(f"graph {graph!r} would be a session's own: turns of the session alone make it")
            if row is None:
                life = incarnation or uuid.uuid4()
                sealed_as = await self._sealing.mark(tenant, life, is_sealed=is_sealed)
                new = NewGraph(*name, life, NOBODY, GraphRowState.CREATING, session_id, ttl_s, sealed_as)
                row = await self._lives.add(new)
            if row is None:
                continue
            if row.state is GraphRowState.RESTORING:
                raise UnavailableError(f"graph {graph!r} is being restored from a copy")
            if row.state is GraphRowState.DROPPING:
                await self._lives.end(row, until_s)
                continue
            check_kind(row, is_sealed)
            if row.state is GraphRowState.CREATING:
                row = await self._lives.begin(row, until_s, self._told(asker))
            if row is not None:
                return self._lookup.keep(await self._extended_row(row, session_id, ttl_s))
        raise UnavailableError(f"graph {graph!r} is being created and dropped by others")

    async def find(self, tenant: str, graph: str) -> GraphRow:
        """Return the graph of this name. Raises GraphNotFoundError."""
        return await self._lookup.find(GraphName(tenant, graph), self._clock.monotonic_s() + self.timeout_s)

    async def list(self, tenant: str, after: str, limit: int) -> builtins.list[GraphRow]:
        """Return at most `limit` graphs of a tenant after a name, in the order of the bytes of their names."""
        return await self._directory.list(tenant, after, limit)

    async def drop(self, tenant: str, graph: str, incarnation: uuid.UUID | None = None) -> None:
        """Drop the graph of this name; incarnation: only if it is this one. Raises GraphNotFoundError.

        From its first moment on nobody finds it. Raises ShardUnavailableError when its shard does not answer: then its
        data go when the shard is back, and the name is free again.
        """
        name = checked(tenant, graph)
        row = await self._directory.mark_dropped(*name, incarnation)
        self._lookup.forget(name)
        if row is None:
            raise not_found(name)
        await self._lives.end(row, self._clock.monotonic_s() + self.timeout_s)

    async def restore(
        self,
        tenant: str,
        graph: str,
        lines: AsyncIterator[bytes],
        *,
        deadline_s: float,
        is_sealed: bool | None = None,
    ) -> GraphRow:
        """Make a graph of what `export` gave; under the name of a session's own, the graph is the session's.

        Raises GraphInputError when the name cannot be or is taken, or the copy is not whole, and GraphSealedError.
        """
        checked_new(tenant, graph)
        life = uuid.uuid4()
        sealed_as = await self._sealing.mark(tenant, life, is_sealed=is_sealed)
        return await self._restored(
            NewGraph(tenant, graph, life, NOBODY, GraphRowState.RESTORING, None, _RESTORE_S, sealed_as),
            lambda shard, ref, left_s: shard.restore(ref, lines, deadline_s=left_s),
            deadline_s,
        )

    async def receive(self, tenant: str, graph: str, snapshot: Snapshot, *, deadline_s: float) -> GraphRow:
        """Make a graph of a native snapshot, as `restore` does of lines; of that of a sealed graph, a sealed one."""
        if (sealed_as := snapshot.end.sealed_as) is not None and snapshot.end.tenant != tenant:
            raise GraphInputError(
                f"the snapshot is of a sealed graph: its tenant alone, {snapshot.end.tenant!r}, opens it"
            )
        return await self._restored(
            NewGraph(tenant, graph, uuid.uuid4(), NOBODY, GraphRowState.RESTORING, None, _RESTORE_S, sealed_as),
            lambda shard, ref, left_s: send_snapshot(shard.copies, ref, snapshot, deadline_s=left_s),
            deadline_s,
        )

    async def snapshot(self, tenant: str, graph: str, file: BinaryIO, *, deadline_s: float) -> None:
        """Write a native snapshot of the graph to a file."""

        async def write(shard: Transport, ref: GraphRef, left_s: float) -> None:
            await write_snapshot(shard.copies, ref, file, deadline_s=left_s)

        await self.ask(checked(tenant, graph), write, Again.NEVER, deadline_s)

    async def _restored(
        self, new: NewGraph, work: Callable[[Transport, GraphRef, float], Awaitable[object]], deadline_s: float
    ) -> GraphRow:
        tenant, graph = checked_new(new.tenant, new.graph)
        if (session_id := owner_of(tenant, graph)) is None and is_own(graph):
            raise GraphNameError(f"graph {graph!r} would be a session's own, and there can be no such session")
        row = await self._lives.add(new._replace(session_id=session_id))
        if row is None:
            raise GraphInputError(f"there is a graph {graph!r}, or a part of one: drop it before a copy takes its name")
        until_s = self._clock.monotonic_s() + deadline_s
        line = await self._members.line(row.shard)
        await self._lives.make_room(row, until_s)
        try:
            await line.ask(
                lambda shard, left_s: work(self._sealing.through(shard, row.ref), row.ref, left_s), until_s, Again.NEVER
            )
            active = await self._directory.activate(row)
        except (GraphInputError, CopyBrokenError):
            await self.drop(tenant, graph)
            raise
        if active is None:
            raise GraphInputError(f"graph {graph!r} was dropped while a copy was restored to it")
        return self._lookup.keep(active)

    def of(
        self, tenant: str, graph: str, incarnation: uuid.UUID | None = None, *, asker: Asker | None = None
    ) -> BoundGraph:
        """Return the graph of this name, to be asked. It is looked up with each call.

        incarnation: then only while it is that one: for one that was made later, calls raise GraphNotFoundError. asker:
        who asks; None: nobody says, which a shard that enforces access control lists refuses.
        """
        return BoundGraph(self, GraphName(tenant, graph), incarnation, self._told(asker))

    async def ask(
        self,
        name: GraphName,
        work: Callable[[Transport, GraphRef, float], Awaitable[T]],
        again: Again,
        deadline_s: float | None,
        incarnation: uuid.UUID | None = None,
        *,
        is_quick: bool = False,
    ) -> T:
        """Return what `work` returns of the graph's shard. deadline_s: with everything that is tried again.

        incarnation: the only one that is asked; None: whichever there is.
        """
        until_s = self._clock.monotonic_s() + (self.timeout_s if deadline_s is None else deadline_s)
        return await self._asking.ask(name, work, again, until_s, incarnation, is_quick=is_quick)

    def export(self, name: GraphName, deadline_s: float, asker: Asker | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a copy of the graph."""
        return self._asking.export(name, self._clock.monotonic_s() + deadline_s, asker)

    async def _extended_row(self, row: GraphRow, session_id: uuid.UUID | None, ttl_s: float | None) -> GraphRow:
        """Let the life of a graph begin anew, unless it has just now, and a session's own be the session's, which alone
        says how long that lives.
        """
        if session_id is None and is_own(row.graph):
            return row
        now_s = self._clock.monotonic_s()
        extended = self._extended.fresh(GraphName(row.tenant, row.graph), now_s)
        is_young = ttl_s is None or (extended is not None and extended.ref == row.ref)
        expires = row.expires_at is not None
        if is_young and (session_id is None or (row.session_id, expires) == (session_id, ttl_s is not None)):
            return row
        row = await self._directory.extend(row, session_id, ttl_s) or row
        self._extended.put(row, now_s)
        return row


@asynccontextmanager
async def open_graphs(
    settings: Settings,
    pool: Pool,
    connect: Connect,
    *,
    is_settled: bool = False,
    clock: Clock | None = None,
    embedder: Embedder | None = None,
) -> AsyncIterator[Graphs]:
    """Open the graphs for a process: the members are seeded, and watched as long as the graphs are open.

    is_settled: somebody has seen to the first members before, and Postgres may be away now. Raises as `Seed.settle`.
    """
    clock = clock or SystemClock()
    directory = Directory(pool)
    members = Members(directory, connect, settings, clock)
    if not is_settled:
        seed = Seed(directory, connect, clock)
        await seed.settle(settings.graph_service_endpoints, settings.argosy_ready_s)
    watching = asyncio.create_task(members.watch(), name="shard-watch")
    try:
        yield Graphs(directory, members, settings, clock, embedder)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await members.close()
