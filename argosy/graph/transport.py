"""The contract of a transport: how one shard is asked, in this process or in another one.

Rules, which one conformance suite holds every adapter to (tests/shards/test_transport*.py):
- A call ends at its deadline, with GraphDeadlineError. One that writes may then have taken effect. A shard behind a
  connection says so itself, a little before; ShardSilentError says that it said nothing.
- Errors are those of argosy/errors.py, whatever lies between. Besides those of the methods every call raises
  WrongOwnerError, ShardUnavailableError and GraphInputError, and GraphTooLargeError when an answer is over its bound. A
  shard that enforces access control lists raises GraphForbiddenError for who may not.
- A transport is of one member (facts.Member). Every call but `identify` and `list` says which folder it is meant for,
  and a shard with another folder refuses it with WrongOwnerError: an empty disk under a known endpoint stays empty.
- A call that writes and was cut off raises OutcomeUnknownError: it may have taken effect. ShardUnavailableError says
  that it did not.
- Nothing is tried again here, but for a call that was refused for the caller's clock, once.
"""

import builtins
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from argosy.graph.acl import GraphAccess, GraphAcl
from argosy.graph.copies import Copies
from argosy.graph.facts import (
    LIST_MAX,
    Answer,
    Applied,
    Direction,
    Edge,
    FencingToken,
    GraphName,
    GraphRef,
    Hit,
    Member,
    Neighborhood,
    Node,
    Source,
    Stats,
    Summary,
    WriteKey,
)
from argosy.graph.feeds import Fed, FeedBatch, FeedState
from argosy.graph.forgetting import ForgetTurns, Forgotten
from argosy.graph.ops import Op


class Transport(Protocol):
    """One shard. deadline_s: how long the caller waits."""

    @property
    def copies(self) -> Copies:
        """How graphs are copied from and to the shard."""

    async def identify(self, *, deadline_s: float) -> uuid.UUID:
        """Return the id of the folder of whoever answers at the endpoint, member or not."""

    async def create(self, ref: GraphRef, *, deadline_s: float) -> None: ...

    async def drop(self, ref: GraphRef, *, deadline_s: float) -> None: ...

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
        """Apply a batch, once under its key. Raises FencedError, KeyMismatchError, KeyExpiredError."""

    async def get_nodes(self, ref: GraphRef, ids: Sequence[str], *, deadline_s: float) -> list[Node | None]: ...

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
    ) -> Neighborhood: ...

    async def scan(
        self, ref: GraphRef, *, label: str = "", after: str = "", limit: int, deadline_s: float
    ) -> list[Node]: ...

    async def scan_edges(
        self, ref: GraphRef, *, after: tuple[str, str, str] = ("", "", ""), limit: int, deadline_s: float
    ) -> list[Edge]: ...

    async def query(
        self, ref: GraphRef, cypher: str, params: dict[str, Any], *, row_limit: int, deadline_s: float
    ) -> Answer:
        """Answer a query with what is committed when it arrives. Raises CypherError, ViewLostError."""

    async def search(
        self,
        ref: GraphRef,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float,
    ) -> list[Hit]:
        """Find nodes by text, by a vector (its name and numbers), or by both: then by reciprocal rank fusion."""

    async def summary(self, ref: GraphRef, *, deadline_s: float) -> Summary: ...

    async def bulk_load(
        self, ref: GraphRef, batches: AsyncIterator[Sequence[Op]], *, source: Source, deadline_s: float
    ) -> Applied: ...

    async def list(
        self, *, after: GraphName | None = None, limit: int = LIST_MAX, deadline_s: float
    ) -> builtins.list[tuple[GraphName, Stats]]:
        """Return a page of the shard's graphs: the first ones, or those behind the last one of another page, in an
        order of the shard's own. One with fewer than `limit` is the last.
        """

    async def stats(self, ref: GraphRef, *, deadline_s: float) -> Stats: ...

    def export(self, ref: GraphRef, *, deadline_s: float) -> AsyncIterator[bytes]:
        """Yield a consistent copy as lines, each with its line end."""

    async def restore(self, ref: GraphRef, lines: AsyncIterator[bytes], *, deadline_s: float) -> None: ...

    async def ingest(self, ref: GraphRef, batch: FeedBatch, *, deadline_s: float) -> Fed:
        """Do the lines of a feed that are next, durably, or nothing; of many the first, when others wait for the graph.
        Raises KeyExpiredError for a feed so old that nobody knows what was done of it.
        """

    async def feeds(self, ref: GraphRef, names: Sequence[str], *, deadline_s: float) -> builtins.list[FeedState | None]:
        """Return feeds as they are; None for those of which nothing was done, or is known any more."""

    async def get_acl(self, ref: GraphRef, *, deadline_s: float) -> GraphAccess:
        """Return the graph's access control list, and what whoever asks may do: argosy/graph/acl.py."""

    async def set_acl(self, ref: GraphRef, acl: GraphAcl | None, *, deadline_s: float) -> None:
        """Set the list durably, or remove it."""

    async def forget(self, ref: GraphRef, turns: ForgetTurns, *, deadline_s: float) -> Forgotten:
        """Delete what these turns wrote last, as much as there is time for; done again, it goes on."""

    async def close(self) -> None:
        """Let go of what leads to the shard, which goes on."""


class Connect(Protocol):
    """Makes transports. A connection is opened when it is needed, and again after it broke."""

    def to(self, member: Member) -> Transport: ...
