"""A shard that enforces access control lists (KG_BRAIN_ENFORCE): argosy/graph/acl.py decides, here it is done.

Rules:
- This is the last place before a graph's file, so nothing depends on who asked before. RIGHTS has what each call needs;
  OF_FILES are calls about graphs as files, which the fleet makes for itself and for nobody, and need no asker.
- A call that says not who asks is refused (enforcement.py), and so is one whose asker lacks the right.
- An administrator of the graph is held back by no list of a node, and the call goes on without its asker. For anybody
  else the lists of nodes hold: reads show what they see (seen.py), and writes are looked at one by one (permits.py).
- Cypher has a view of the whole graph. So a query of somebody from whom a list keeps a node is refused. It is looked at
  before the query and after it, when what was written meanwhile may be in its answer.
- Who makes a graph is its administrator; a session's own is its turns' in any case.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, Final
from uuid import UUID

from argosy.clock import Clock
from argosy.errors import GraphForbiddenError
from argosy.graph.acl import ALL, GraphAccess, GraphAcl, Right, check_lists, rights_of
from argosy.graph.asker import Asker, makers_label
from argosy.graph.facts import (
    Answer,
    Applied,
    Direction,
    Edge,
    FencingToken,
    GraphRef,
    Hit,
    Neighborhood,
    Node,
    Source,
    Stats,
    Summary,
    WriteKey,
)
from argosy.graph.feeds import Fed, FeedBatch, FeedState
from argosy.graph.names import is_own
from argosy.graph.ops import Op
from argosy.shards.bounds import ShardBounds
from argosy.shards.engine import Engine
from argosy.shards.shard import Shard
from argosy.shards.view import ViewMaker

# What each call of a transport needs; None: that somebody asks.
RIGHTS: Final[dict[str, Right | None]] = {
    "create": None,
    "apply": Right.WRITE,
    "get_nodes": Right.READ,
    "neighbors": Right.READ,
    "scan": Right.READ,
    "scan_edges": Right.READ,
    "query": Right.READ,
    "search": Right.READ,
    "summary": Right.READ,
    "stats": Right.READ,
    "bulk_load": Right.ADMIN,
    "export": Right.ADMIN,
    "ingest": Right.ADMIN,
    "feeds": Right.ADMIN,
    "get_acl": None,
    "set_acl": Right.ADMIN,
}
# They show nothing of what a graph has but to the fleet: copies go from shard to shard, and to backups.
OF_FILES: Final = frozenset({"identify", "drop", "restore", "list", "forget", "copies"})

_SEEN_MAX: Final = 1_000  # of which it is remembered that they are seen as a whole

_Life = tuple[str, str, UUID, int]


class GuardedShard(Shard):
    """A shard that lets nobody in without a right. is_open: a graph without a list is open (KG_ACL_DEFAULT_ALLOW)."""

    _ENFORCES: ClassVar[bool] = True

    def __init__(
        self, engine: Engine, maker: ViewMaker, bounds: ShardBounds, clock: Clock, *, is_open: bool = False
    ) -> None:
        super().__init__(engine, maker, bounds, clock)
        self._is_open = is_open
        # By graph and labels: the version in which every node was seen. The one that was asked for longest ago first.
        self._all_seen: OrderedDict[tuple[_Life, frozenset[str]], int] = OrderedDict()

    async def create(self, ref: GraphRef, *, deadline_s: float) -> None:
        await super().create(ref, deadline_s=deadline_s)
        label = "" if ref.asker is None or ref.asker.is_admin or is_own(ref.graph) else makers_label(ref.asker)
        if label:
            deadline = self._deadline(ref, deadline_s)
            await self._set_acl(ref, GraphAcl(admin=(label,)), deadline, is_first=True)

    async def apply(
        self,
        ref: GraphRef,
        ops: Sequence[Op],
        *,
        key: WriteKey | None,
        token: FencingToken | None,
        source: Source,
        deadline_s: float,
    ) -> Applied:
        admitted = await self._admitted("apply", ref, deadline_s)
        check_lists(ops)
        return await super().apply(admitted, ops, key=key, token=token, source=source, deadline_s=deadline_s)

    async def get_nodes(self, ref: GraphRef, ids: Sequence[str], *, deadline_s: float) -> list[Node | None]:
        admitted = await self._admitted("get_nodes", ref, deadline_s)
        return await super().get_nodes(admitted, ids, deadline_s=deadline_s)

    async def neighbors(
        self,
        ref: GraphRef,
        ids: Sequence[str],
        *,
        types: Sequence[str] = (),
        direction: Direction = Direction.BOTH,
        depth: int = 1,
        limit: int,
        deadline_s: float,
    ) -> Neighborhood:
        admitted = await self._admitted("neighbors", ref, deadline_s)
        return await super().neighbors(
            admitted, ids, types=types, direction=direction, depth=depth, limit=limit, deadline_s=deadline_s
        )

    async def scan(
        self, ref: GraphRef, *, label: str = "", after: str = "", limit: int, deadline_s: float
    ) -> list[Node]:
        admitted = await self._admitted("scan", ref, deadline_s)
        return await super().scan(admitted, label=label, after=after, limit=limit, deadline_s=deadline_s)

    async def scan_edges(
        self, ref: GraphRef, *, after: tuple[str, str, str] = ("", "", ""), limit: int, deadline_s: float
    ) -> list[Edge]:
        admitted = await self._admitted("scan_edges", ref, deadline_s)
        return await super().scan_edges(admitted, after=after, limit=limit, deadline_s=deadline_s)

    async def query(
        self, ref: GraphRef, cypher: str, params: dict[str, Any], *, row_limit: int, deadline_s: float
    ) -> Answer:
        admitted = await self._admitted("query", ref, deadline_s)
        await self._check_sees_all(admitted, deadline_s)
        whole = admitted._replace(asker=None)
        answer = await super().query(whole, cypher, params, row_limit=row_limit, deadline_s=deadline_s)
        await self._check_sees_all(admitted, deadline_s)
        return answer

    async def search(
        self,
        ref: GraphRef,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float,
    ) -> list[Hit]:
        admitted = await self._admitted("search", ref, deadline_s)
        return await super().search(admitted, text, vector=vector, limit=limit, deadline_s=deadline_s)

    async def summary(self, ref: GraphRef, *, deadline_s: float) -> Summary:
        return await super().summary(await self._admitted("summary", ref, deadline_s), deadline_s=deadline_s)

    async def stats(self, ref: GraphRef, *, deadline_s: float) -> Stats:
        admitted = await self._admitted("stats", ref, deadline_s)
        found = await super().stats(admitted, deadline_s=deadline_s)
        if admitted.asker is None:
            return found
        deadline = self._deadline(ref, deadline_s)
        nodes, edges = await self._reads.of_asker(
            admitted, admitted.asker, lambda graph, stop: graph.counts(admitted, stop), deadline
        )
        return found._replace(node_count=nodes, edge_count=edges)

    async def bulk_load(
        self, ref: GraphRef, batches: AsyncIterator[Sequence[Op]], *, source: Source, deadline_s: float
    ) -> Applied:
        admitted = await self._admitted("bulk_load", ref, deadline_s)
        return await super().bulk_load(admitted, batches, source=source, deadline_s=deadline_s)

    async def export(self, ref: GraphRef, *, deadline_s: float) -> AsyncIterator[bytes]:
        admitted = await self._admitted("export", ref, deadline_s)
        async for chunk in super().export(admitted, deadline_s=deadline_s):
            yield chunk

    async def ingest(self, ref: GraphRef, batch: FeedBatch, *, deadline_s: float) -> Fed:
        return await super().ingest(await self._admitted("ingest", ref, deadline_s), batch, deadline_s=deadline_s)

    async def feeds(self, ref: GraphRef, names: Sequence[str], *, deadline_s: float) -> list[FeedState | None]:
        return await super().feeds(await self._admitted("feeds", ref, deadline_s), names, deadline_s=deadline_s)

    async def get_acl(self, ref: GraphRef, *, deadline_s: float) -> GraphAccess:
        rights = await self._rights(ref, self.lists.known(ref.asker), deadline_s)
        found = await super().get_acl(ref, deadline_s=deadline_s)
        return GraphAccess(found.acl if Right.ADMIN in rights else None, rights)

    async def set_acl(self, ref: GraphRef, acl: GraphAcl | None, *, deadline_s: float) -> None:
        await super().set_acl(await self._admitted("set_acl", ref, deadline_s), acl, deadline_s=deadline_s)

    async def _admitted(self, call: str, ref: GraphRef, deadline_s: float) -> GraphRef:
        """Return the graph for a call whose asker has the right to it: without an asker from whom nothing is kept.
        Raises GraphForbiddenError, ListsDisagreeError.
        """
        asker = self.lists.known(ref.asker)
        rights = await self._rights(ref, asker, deadline_s)
        if (needed := RIGHTS[call]) is not None and needed not in rights:
            raise GraphForbiddenError(f"graph {ref.graph!r}: whoever asks needs the right {str(needed)!r} to it")
        # Whoever asks need not enforce lists, too: here they hold.
        return ref._replace(asker=None if Right.ADMIN in rights else asker._replace(enforced=True))

    async def _rights(self, ref: GraphRef, asker: Asker, deadline_s: float) -> frozenset[Right]:
        if asker.is_admin:
            return ALL
        acl = await self._reads.acl(ref, self._deadline(ref, deadline_s))
        return rights_of(acl, asker, ref.graph, is_open=self._is_open)

    async def _check_sees_all(self, ref: GraphRef, deadline_s: float) -> None:
        """Raise GraphForbiddenError when a list keeps a node of the graph from whoever asks."""
        if (asker := ref.asker) is None:
            return
        deadline, key = self._deadline(ref, deadline_s), (ref.life, asker.labels)
        known = self._all_seen.pop(key, None)
        seen = await self._reads.of_asker(ref, asker, lambda graph, stop: graph.sees_all(ref, known, stop), deadline)
        if seen is None:
            raise GraphForbiddenError(
                f"graph {ref.graph!r} has nodes that whoever asks may not read, and Cypher reads all: ask by ids,"
                " neighbours or a search, or have the right 'admin' to the graph"
            )
        self._all_seen[key] = seen
        if len(self._all_seen) > _SEEN_MAX:
            self._all_seen.popitem(last=False)
