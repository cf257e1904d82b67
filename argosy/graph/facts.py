"""What a shard and those who ask it say of graphs: which graph, under which claim, and what is found. Pure."""

import uuid
from enum import StrEnum
from typing import Any, Final, NamedTuple

from argosy.graph.asker import Asker

NOBODY: Final = uuid.UUID(int=0)
DEPTH_MAX: Final = 8  # of a neighbourhood: beyond that it is most of a graph
LIST_MAX: Final = 500  # graphs of one page of a shard's list: with the longest names that may be, a mebibyte
TYPES_MAX: Final = 64  # that one neighbourhood names: each of its nodes is looked up once for each of them


class GraphName(NamedTuple):
    tenant: str
    graph: str


class Member(NamedTuple):
    """A shard. member_id: of its folder; NOBODY where nobody has asked the endpoint yet."""

    member_id: uuid.UUID
    endpoint: str


class GraphState(StrEnum):
    """What a shard does for a graph that it has."""

    ACTIVE = "active"
    SEALED = "sealed"  # it is being moved: reads only
    RETIRED = "retired"  # it was moved: nothing


class GraphRef(NamedTuple):
    """The graph that a call means. generation: how often it was moved. asker: who asks; None: nobody says.
    sealed_as: what the values of a sealed graph's props are bound to (argosy/graph/sealing.py), which no shard is told;
    None: it is not sealed.

    A shard that enforces access control lists (argosy/graph/acl.py) lets nobody in who says not who asks.
    """

    tenant: str
    graph: str
    incarnation: uuid.UUID
    generation: int
    asker: Asker | None = None
    sealed_as: uuid.UUID | None = None

    @property
    def limited(self) -> Asker | None:
        """Who asks, if lists of nodes hold for them."""
        asker = self.asker
        return None if asker is None or asker.is_admin or not asker.enforced else asker

    @property
    def life(self) -> tuple[str, str, uuid.UUID, int]:
        """The graph in this generation, whoever asks."""
        return self[:4]


class FencingToken(NamedTuple):
    """Under which claim a turn's write is made: compared as (epoch, place, attempt) within a session. epoch: of the
    partition's claim, which begins with the lineage; place: the turn's, in its session; attempt: of the turn.
    """

    session_id: uuid.UUID
    epoch: int
    place: int
    attempt: int


class WriteKey(NamedTuple):
    """The key of a batch. made_at_ms: Unix milliseconds, when whoever made it did. digest: of what was asked for, where
    that is sent otherwise each time, as to a sealed graph; empty: what is sent tells one batch from another.
    """

    key: str
    made_at_ms: int
    digest: bytes = b""


class Source(NamedTuple):
    """Which turn and step wrote a fact; both are empty when no turn did."""

    turn_id: str = ""
    step_key: str = ""


NO_SOURCE: Final = Source()


class Applied(NamedTuple):
    """What a batch came to, as it is stored under its key.

    version: of the batch; 0 when it was refused. failed: the index of the operation whose condition did not hold, or
    that needs what is not there; -1: none. reason: then why.
    """

    version: int
    failed: int = -1
    reason: str = ""


class Node(NamedTuple):
    """A node, as it is in a graph. props: a JSON object."""

    id: str
    label: str
    props: bytes
    version: int
    source: Source


class Edge(NamedTuple):
    src: str
    type: str
    dst: str
    props: bytes
    version: int
    source: Source


def size_of(fact: Node | Edge, beside_size_bytes: int) -> int:
    """Return about how many bytes a fact has: its names and props, and what is beside them."""
    names = len(fact.id) + len(fact.label) if isinstance(fact, Node) else len(fact.src) + len(fact.type) + len(fact.dst)
    return names + len(fact.props) + beside_size_bytes


class Direction(StrEnum):
    OUT = "out"
    IN = "in"
    BOTH = "both"


class Neighborhood(NamedTuple):
    """Nodes by distance from where it began (those first), edges between them. is_cut: a limit was reached."""

    nodes: list[Node]
    edges: list[Edge]
    is_cut: bool


class Hit(NamedTuple):
    """A node that was found. score: greater is better; comparable within one answer only."""

    node: Node
    score: float


class LabelCount(NamedTuple):
    """How many nodes have a label, or how many edges a type. props: how many of them have each property, the most
    frequent first.
    """

    label: str
    total: int
    props: list[tuple[str, int]]


class Summary(NamedTuple):
    """The schema that a graph has come to have: labels of nodes, and types of edges."""

    nodes: list[LabelCount]
    edges: list[LabelCount]


class Stats(NamedTuple):
    incarnation: uuid.UUID
    generation: int
    state: GraphState
    node_count: int
    edge_count: int
    version: int
    size_bytes: int
    wal_size_bytes: int


class Answer(NamedTuple):
    """The rows of a query. is_cut: there were more rows than row_limit, or more bytes than the limit."""

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool
