"""The contract of a graph engine: the durable graphs in a shard's folder, each in a file of its own.

Rules, which one conformance suite holds every adapter to (tests/shards/test_engine.py):
- What `apply` returned is durable: kill -9 at any moment loses none of it, and the file opens.
- A batch is applied whole or not at all, and once per key: the key, a digest of the operations and the answer are
  stored in the transaction that applies them. The same key again answers the stored answer; with other operations it is
  refused as KEY_MISMATCH; a key that was made longer ago than the horizon and is not stored, as KEY_EXPIRED.
- A key is looked up before the fence is asked: a late call is FENCED, or it is what was applied already.
- The fence: of each session the graph keeps the highest token that wrote, and a lower one is FENCED.
- An incarnation is one life of a graph: from its Create to its Drop. A call for another incarnation, for another
  generation, or for a graph that is sealed or retired here changes nothing: WRONG_OWNER. A file comes into being by
  `create` and `restore` alone, and never for an incarnation that was dropped here, unless it comes back from another
  shard, in a later generation.
- Lines of a feed are done once, in their order, by the rule of argosy/graph/feeds.py. Feeds are forgotten as keys are,
  and a line is refused alone, with its reason: those around it are done.
- Reads see every batch that was applied before they began.
- Of an asker in `ref`, the lists of nodes hold for `apply` and for `neighbors`, which finds nothing through a node that
  they do not see. Every other read shows all, and seen.py takes out what its asker does not see.
- Operations are what `check_ops` accepts: whoever takes them from outside has asked it.

Every method may be called from any thread; those that write run one at a time per graph. Nothing here knows asyncio,
gRPC or Postgres.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from argosy.graph.acl import GraphAcl
from argosy.graph.copies import CopyPart, CopySums, Received
from argosy.graph.facts import (
    LIST_MAX,
    Applied,
    Direction,
    Edge,
    FencingToken,
    GraphName,
    GraphRef,
    GraphState,
    Hit,
    Neighborhood,
    Node,
    Source,
    Stats,
    Summary,
    WriteKey,
)
from argosy.graph.feeds import Fed, FeedBatch, FeedState
from argosy.graph.forgetting import ForgetTurns
from argosy.graph.ops import DeleteEdge, DeleteNode, Op


class Interrupt(Protocol):
    """Whether a read has to stop. A read asks often, and raises GraphDeadlineError when it has to. (Of lines of a feed:
    whether they make way.)
    """

    def __call__(self) -> bool: ...


class Graph(Protocol):
    """One open graph. Reads raise GraphDeadlineError when they are interrupted."""

    def apply(
        self,
        ref: GraphRef,
        ops: Sequence[Op],
        *,
        key: WriteKey | None,
        token: FencingToken | None,
        source: Source,
        now_ms: int,
    ) -> Applied:
        """Apply a batch durably. Raises WrongOwnerError, FencedError, KeyMismatchError, KeyExpiredError."""

    def apply_many(self, batches: Sequence["Batch"], now_ms: int) -> list["Applied | Exception"]:
        """Apply several batches in one commit: each as by `apply`, in order, independent of what others came to."""

    def acl(self, ref: GraphRef) -> GraphAcl | None:
        """The graph's access control list. Waits for nothing."""

    def set_acl(self, ref: GraphRef, acl: GraphAcl | None, *, is_first: bool = False) -> None:
        """Set the list durably, or remove it. is_first: only while there is none, and nothing was written."""

    def get_nodes(self, ref: GraphRef, ids: Sequence[str], size_bytes_max: int | None = None) -> list[Node | None]:
        """Return nodes, None for those that are not there. size_bytes_max: of the props of several; None:
        as much as a read may have. Raises GraphTooLargeError.
        """

    def neighbors(
        self,
        ref: GraphRef,
        ids: Sequence[str],
        *,
        types: Sequence[str],
        direction: Direction,
        depth: int,
        limit: int,
        interrupt: Interrupt,
    ) -> Neighborhood:
        """The nodes within `depth` edges (of these types; none: any) of those that are there; at most `limit` nodes."""

    def scan(self, ref: GraphRef, label: str, after: str, limit: int, interrupt: Interrupt) -> list[Node]:
        """Nodes with an id behind `after`, in the order of ids. label "": of any."""

    def scan_edges(
        self, ref: GraphRef, after: tuple[str, str, str], limit: int, interrupt: Interrupt
    ) -> list[Edge]: ...

    def search(self, ref: GraphRef, text: str, limit: int, interrupt: Interrupt) -> list[Hit]:
        """Nodes by the words that id, label and text in props have: first those with all words of a text, the best
        first, then those with some. No text is invalid.
        """

    def nearest(self, ref: GraphRef, name: str, vector: Sequence[float], limit: int, interrupt: Interrupt) -> list[Hit]:
        """Nodes by cosine of their vectors of this name. Raises GraphInputError for another dimension, as `apply` does:
        that of the first vector written under a name holds for all.
        """

    def summary(self, ref: GraphRef, interrupt: Interrupt) -> Summary: ...

    def bulk_load(self, ref: GraphRef, batches: Iterable[Sequence[Op]], *, source: Source, now_ms: int) -> Applied:
        """Apply upserts without conditions, in one transaction: all of them or none. Edges may come before nodes."""

    def ingest(self, ref: GraphRef, batch: FeedBatch, now_ms: int, interrupt: Interrupt) -> "Ingested":
        """Do the lines of a feed that are next, durably, or nothing. Once it is interrupted, those behind the first are
        left undone. Raises KeyExpiredError.
        """

    def feeds(self, ref: GraphRef, names: Sequence[str]) -> list[FeedState | None]:
        """Return feeds as they are; None for those of which nothing was done, or is known any more."""

    def export(self, ref: GraphRef) -> Iterator[bytes]:
        """A consistent copy as lines of JSON: a header, nodes, edges, keys, tokens and feeds, and an end with counts
        and a SHA-256.
        """

    def stats(self) -> Stats: ...

    def written_by(self, ref: GraphRef, turns: ForgetTurns, limit: int, interrupt: Interrupt) -> "Written":
        """Return at most `limit` of the facts that these turns and feeds wrote last; none: there are none."""

    def fence(self, ref: GraphRef, turns: ForgetTurns, now_ms: int) -> None:
        """Fence these turns and feeds, durably, and forget under which keys they wrote, and what was refused."""

    def wipe(self, ref: GraphRef) -> bool:
        """Take out of the file, for a moment, what deleted content left there; whether nothing of it is left."""

    def begin_copy(self, ref: GraphRef, wal_size_bytes_max: int, interrupt: Interrupt) -> "GraphCopy":
        """Begin a copy. It ends, also, when the log of writes is over its bound, and when the graph is dropped. Raises
        ShardBusyError while reads go on that began long ago.
        """


class GraphCopy(Protocol):
    """A copy of an open graph under way: argosy/graph/copies.py. Raises CopyBrokenError once it has ended."""

    def base(self, ref: GraphRef, offset: int) -> Iterator[CopyPart]:
        """Yield the base from an offset on; the last part has no bytes, and the SHA-256."""

    def tail(self, ref: GraphRef, offset: int) -> Iterator[CopyPart]:
        """Yield the tail, likewise, up to the last commit."""

    @property
    def has_ended(self) -> bool: ...

    def end(self) -> None:
        """End it, and let what was written meanwhile go into the graph's file."""


class Landings(Protocol):
    """The graphs that a folder receives, by the rules of argosy/graph/copies.py. All methods but the last one raise
    WrongOwnerError for a graph that was dropped here in this generation or a later one. So do `received` and `take`,
    when the copy is new, and `land` for one that has no place here: it is here as it was, or another life of its name.
    """

    def received(self, ref: GraphRef, copy_id: uuid.UUID) -> Received:
        """Return what is there of a copy."""

    def take(self, ref: GraphRef, copy_id: uuid.UUID, part: CopyPart, *, is_tail: bool) -> bool:
        """Store a part. Return whether more of them are wanted."""

    def land(self, ref: GraphRef, copy_id: uuid.UUID, sums: CopySums, expected: Stats | None) -> Stats: ...

    def activate(self, ref: GraphRef, copy_id: uuid.UUID, generation: int) -> Stats: ...

    def abandon(self, ref: GraphRef) -> None: ...

    def forget_idle(self, since_ms: int) -> None:
        """Remove copies of which nothing came since then, and which are not all there."""


class Written(NamedTuple):
    """Facts that are to be deleted, each if it has the version in which it was found. nodes, edges: how many go, with
    the edges that go with their nodes.
    """

    ops: Sequence[DeleteNode | DeleteEdge]
    nodes: int
    edges: int


class Batch(NamedTuple):
    """The arguments of `Graph.apply`."""

    ref: GraphRef
    ops: Sequence[Op]
    key: WriteKey | None
    token: FencingToken | None
    source: Source


class Ingested(NamedTuple):
    """What became of lines of a feed. ops: those that took effect, in their order; none: the version stays. applied,
    rejected: how many lines were, now. size_bytes: of the lines that were done now.
    """

    fed: Fed
    ops: Sequence[Op]
    applied: int
    rejected: int
    size_bytes: int


class Engine(Protocol):
    """The graphs of one folder, which one process opens at a time."""

    @property
    def member_id(self) -> uuid.UUID:
        """The id of the folder, which was made with it."""

    def create(self, ref: GraphRef) -> None:
        """Make an empty graph; of one that is there with this incarnation, nothing. Raises WrongOwnerError when the
        incarnation was dropped here, or another one is here.
        """

    def drop(self, ref: GraphRef) -> None:
        """Delete a graph for good; of one that is not there, nothing. Another incarnation stays as it is."""

    def graph(self, ref: GraphRef) -> Graph:
        """The graph, opened if it was not. Raises WrongOwnerError when it is not here, or not as `ref` has it."""

    def graph_at_hand(self, ref: GraphRef) -> Graph | None:
        """The graph, if that waits for nothing and opens no file; None otherwise. Its reads raise WrongOwnerError as
        `graph` does.
        """

    @property
    def landings(self) -> Landings: ...

    def set_state(self, ref: GraphRef, state: GraphState, generation: int) -> Stats:
        """Set what the shard does for the graph, durably, by the rules of argosy/graph/copies.py; return what it does
        now.
        """

    def restore(self, ref: GraphRef, lines: Iterable[bytes]) -> None:
        """Make a graph of what `export` gave. Raises GraphInputError, and leaves nothing, unless it is whole."""

    def list(
        self, interrupt: Interrupt, after: GraphName | None = None, limit: int = LIST_MAX
    ) -> list[tuple[GraphName, Stats]]:
        """At most `limit` of the graphs whose files can be read, behind `after`, in an order that stays. Raises
        GraphDeadlineError when it is interrupted.
        """

    @property
    def open_count(self) -> int: ...

    @property
    def wal_size_bytes(self) -> int:
        """The logs of writes of all open graphs. Looks at files: not for the event loop."""

    def close(self) -> None: ...
