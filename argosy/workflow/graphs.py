"""The graphs that a turn reaches: the contract of workflows with whoever finds and asks shards.

Errors are those of argosy/errors.py. An answer that cannot be had now raises an UnavailableError: a graph's shard, or
Postgres, is away.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from argosy.errors import NoRightError, SettingError
from argosy.graph.acl import GraphAccess, Right
from argosy.graph.asker import Asker
from argosy.graph.embedder import Embedder
from argosy.graph.facts import (
    Answer,
    Applied,
    Direction,
    FencingToken,
    Hit,
    Neighborhood,
    Node,
    Source,
    Summary,
    WriteKey,
)
from argosy.graph.ops import Op
from argosy.graph.permission import check_permitted
from argosy.graph.sealed_refusals import check_takes_lines
from argosy.identity.scopes import Scope
from argosy.identity.turn_principal import TurnPrincipal, fault
from argosy.workflow.ingests import Ingests


class BoundGraph(Protocol):
    """One graph. Every method raises GraphNotFoundError when it is not there."""

    async def apply(
        self, ops: Sequence[Op], *, key: WriteKey | None, token: FencingToken | None, source: Source
    ) -> Applied: ...

    async def get_nodes(self, ids: Sequence[str]) -> list[Node | None]: ...

    async def neighbors(
        self,
        ids: Sequence[str],
        *,
        types: Sequence[str] = (),
        direction: Direction = Direction.BOTH,
        depth: int = 1,
        limit: int,
        deadline_s: float | None = None,
    ) -> Neighborhood: ...

    async def query(self, cypher: str, params: dict[str, Any], *, row_limit: int) -> Answer: ...

    async def search(
        self,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float | None = None,
    ) -> list[Hit]: ...

    async def summary(self) -> Summary: ...

    async def get_acl(self, *, deadline_s: float | None = None) -> GraphAccess: ...


class GraphRow(Protocol):
    """What the directory has of a graph. incarnation: its life, from its creation to its end."""

    @property
    def incarnation(self) -> uuid.UUID: ...

    @property
    def is_sealed(self) -> bool: ...


class Graphs(Protocol):
    """The graphs of a fleet. embedder: makes vectors of texts; None: nobody does."""

    @property
    def embedder(self) -> Embedder | None: ...

    @property
    def are_askers_known(self) -> bool:
        """Whether shards are told who asks (KG_AUTH_REQUIRED)."""

    def follow_shards(self, after_return: Callable[[uuid.UUID], None]) -> None:
        """Call this with each shard that answers after it did not, or for the first time. An error that is for want of
        a shard's answer says which one it is (ArgosyError.shard).
        """

    async def create(
        self,
        tenant: str,
        graph: str,
        *,
        session_id: uuid.UUID | None = None,
        ttl_s: float | None = None,
        asker: Asker | None = None,
    ) -> GraphRow:
        """Make a graph, or return the one that is there. session_id: of the session with which it goes; ttl_s: after
        which it goes, from when it was last asked for so.
        """

    def of(
        self, tenant: str, graph: str, incarnation: uuid.UUID | None = None, *, asker: Asker | None = None
    ) -> BoundGraph:
        """Return a graph; with an incarnation that graph alone, never one of the same name that was made later. asker:
        who asks it.
        """


class LaneGraphs(NamedTuple):
    """The graphs as the turns of one worker reach them. own_ttl_s: of a session's own graph; None: it goes with its
    session. loop: the worker's; fork_depth: of its process (fork.py). ingests: None: nothing is uploaded.
    needs_rights: a turn may do what whoever posted it may ask a gateway for, and no more (TURN_RIGHTS_ENFORCED).
    """

    graphs: Graphs
    lane: str
    own_ttl_s: float | None
    loop: asyncio.AbstractEventLoop
    fork_depth: int
    ingests: Ingests | None = None
    needs_rights: bool = False


class TurnGraphs(NamedTuple):
    """The graphs as one attempt of a turn reaches them. own: the name of its session's graph, for which None stands.
    who: the turn's principal. asker: the turn, as access control lists know it.
    """

    lane: LaneGraphs
    tenant: str
    own: str
    token: FencingToken
    session: str = ""
    who: TurnPrincipal | None = None
    asker: Asker | None = None

    def need(self, scope: Scope, name: str | None) -> None:
        """Raise NoRightError when the turn's principal has no right to this, in the graph of this name."""
        self._need(scope, self.session if name in (None, self.own) else None)

    def _need(self, scope: Scope, session: str | None) -> None:
        if self.lane.needs_rights and (why := fault(self.who, scope, session)) is not None:
            raise NoRightError(why)

    def of(self, name: str | None, incarnation: uuid.UUID | None = None) -> BoundGraph:
        return self.lane.graphs.of(self.tenant, name or self.own, incarnation, asker=self.asker)

    async def create(self, name: str | None) -> GraphRow:
        """Return a graph, which is made if it is not there; of another session, it is only found."""
        graphs = self.lane.graphs
        if name not in (None, self.own):
            return await graphs.create(self.tenant, name, asker=self.asker)
        session_id, ttl_s = self.token.session_id, self.lane.own_ttl_s
        return await graphs.create(self.tenant, self.own, session_id=session_id, ttl_s=ttl_s)

    async def start_ingest(self, name: str | None, lines: bytes, key: str) -> uuid.UUID:
        """Upload lines to a graph, which is made if it is not there, once under a key. Returns the id of the job.

        The lines are applied by the fleet, so that no list of a node is asked: where the graph's shard enforces lists
        the turn has to be an administrator (argosy/graph/permission.py).
        """
        self._need(Scope.JOBS_WRITE, None)  # a job is of no session
        row = await self.create(name)
        incarnation = row.incarnation
        check_takes_lines(name or self.own, is_sealed=row.is_sealed)
        graph, is_known = self.of(name, incarnation), self.lane.graphs.are_askers_known
        await check_permitted(graph, name or self.own, self.asker, Right.ADMIN, is_known=is_known)
        split = lines.split(b"\n") if lines else []
        return await self._ingests.start(self.tenant, name or self.own, incarnation, split, key)

    async def look_at_ingest(self, job_id: uuid.UUID, turn_id: uuid.UUID) -> dict[str, Any]:
        """Return how a job is; its end is sent to the turn, if it has not ended (argosy/workflow/ingests.py)."""
        self._need(Scope.JOBS_READ, None)
        return await self._ingests.look(self.tenant, job_id, turn_id, self.lane.lane)

    @property
    def _ingests(self) -> Ingests:
        if self.lane.ingests is None:
            raise SettingError("nothing is uploaded from here")
        return self.lane.ingests
