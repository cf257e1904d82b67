"""What clients are shown of graphs: the shapes of answers, and how facts become them.

They are those that steps get (argosy/graph/shapes.py). Props go out as the JSON that the shard has, without being
decoded: 64-bit integers survive.
"""

import uuid
from datetime import datetime
from typing import Annotated, Any

import msgspec

from argosy.graph.facts import Answer, Edge, Hit, LabelCount, Neighborhood, Node, Source, Stats, Summary
from argosy.graph.prompt import summary_text
from argosy.graph.recall import Recalled
from argosy.store.graph import GraphRow

Props = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]


class GraphView(msgspec.Struct, kw_only=True):
    """A graph. shard: the folder that has it; generation: how often it was moved; incarnation: its life, which ends
    when it is deleted. session_id: of the session with which it goes; expires_at: when it goes, if nobody uses it.
    sealed: the values of its props are, at its shard.
    """

    graph: str
    incarnation: uuid.UUID
    generation: int
    shard: uuid.UUID
    session_id: uuid.UUID | None
    created_at: datetime
    expires_at: datetime | None
    sealed: bool


class GraphDetail(GraphView, kw_only=True):
    """A graph, with what it has. version: of the batch that changed it last. state: active, sealed (it is being moved:
    reads only) or retired.
    """

    state: str
    nodes: int
    edges: int
    version: int
    size_bytes: int
    wal_size_bytes: int


class GraphPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    graphs: list[GraphView]
    next: str | None


class FactSource(msgspec.Struct, kw_only=True):
    """Which turn and step wrote a fact."""

    turn_id: str
    step_key: str


class NodeView(msgspec.Struct, kw_only=True):
    """A node. version: of the batch that wrote it last; source: the turn and step that did, null when none did."""

    id: str
    label: str
    props: Props
    version: int
    source: FactSource | None


class EdgeView(msgspec.Struct, kw_only=True):
    src: str
    type: str
    dst: str
    props: Props
    version: int
    source: FactSource | None


class NodePage(msgspec.Struct, kw_only=True):
    """Nodes in the order of their ids. `next` is the cursor of the next page, null on the last."""

    nodes: list[NodeView]
    next: str | None


class NeighborhoodView(msgspec.Struct, kw_only=True):
    """Nodes, the nearest first, and edges between them. is_cut: there are more than `limit`."""

    nodes: list[NodeView]
    edges: list[EdgeView]
    is_cut: bool


class HitView(msgspec.Struct, kw_only=True):
    """A node that a search found. score: greater is better; comparable within one answer only."""

    node: NodeView
    score: float


class SearchAnswer(msgspec.Struct, kw_only=True):
    """The best first."""

    hits: list[HitView]


class QueryAnswer(msgspec.Struct, kw_only=True):
    """The rows of a query. is_cut: there are more rows than `limit`."""

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool


class LabelView(msgspec.Struct, kw_only=True):
    """How many nodes have a label, or how many edges a type. props: how many of them have each property, the most
    frequent first.
    """

    label: str
    total: int
    props: dict[str, int]


class SummaryView(msgspec.Struct, kw_only=True):
    """The schema that a graph has come to have. edges: by type. text: the same, for a prompt."""

    nodes: list[LabelView]
    edges: list[LabelView]
    text: str


class FactView(msgspec.Struct, kw_only=True):
    """A node or an edge, in one line. ids: of the node, or of the two nodes. score: comparable within one answer."""

    text: str
    ids: list[str]
    version: int
    source: FactSource | None
    score: float


class Recollection(msgspec.Struct, kw_only=True):
    """What a graph has about a text. text: the lines of the facts, the most relevant first. tokens: of the text,
    estimated. is_cut: there was more.
    """

    text: str
    facts: list[FactView]
    tokens: int
    is_cut: bool


class AppliedView(msgspec.Struct, kw_only=True):
    """The batch is durable. version: its number."""

    version: int


def graph(row: GraphRow) -> GraphView:
    return GraphView(
        graph=row.graph,
        incarnation=row.incarnation,
        generation=row.generation,
        shard=row.shard,
        session_id=row.session_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        sealed=row.is_sealed,
    )


def detail(row: GraphRow, stats: Stats) -> GraphDetail:
    return GraphDetail(
        **msgspec.structs.asdict(graph(row)),
        state=stats.state,
        nodes=stats.node_count,
        edges=stats.edge_count,
        version=stats.version,
        size_bytes=stats.size_bytes,
        wal_size_bytes=stats.wal_size_bytes,
    )


def node(found: Node) -> NodeView:
    return NodeView(
        id=found.id,
        label=found.label,
        props=msgspec.Raw(found.props),
        version=found.version,
        source=_source(found.source),
    )


def edge(found: Edge) -> EdgeView:
    return EdgeView(
        src=found.src,
        type=found.type,
        dst=found.dst,
        props=msgspec.Raw(found.props),
        version=found.version,
        source=_source(found.source),
    )


def neighborhood(found: Neighborhood) -> NeighborhoodView:
    return NeighborhoodView(
        nodes=[node(each) for each in found.nodes], edges=[edge(each) for each in found.edges], is_cut=found.is_cut
    )


def hits(found: list[Hit]) -> SearchAnswer:
    return SearchAnswer(hits=[HitView(node=node(each.node), score=each.score) for each in found])


def rows(answer: Answer) -> QueryAnswer:
    return QueryAnswer(columns=answer.columns, rows=answer.rows, is_cut=answer.is_cut)


def summary(found: Summary) -> SummaryView:
    return SummaryView(
        nodes=[_label(each) for each in found.nodes],
        edges=[_label(each) for each in found.edges],
        text=summary_text(found),
    )


def recollection(found: Recalled) -> Recollection:
    facts = [
        FactView(
            text=fact.text,
            ids=list(fact.ids),
            version=fact.version,
            source=_source(fact.source),
            score=fact.score,
        )
        for fact in found.facts
    ]
    return Recollection(text=found.text, facts=facts, tokens=found.tokens, is_cut=found.is_cut)


def _label(found: LabelCount) -> LabelView:
    return LabelView(label=found.label, total=found.total, props=dict(found.props))


def _source(source: Source) -> FactSource | None:
    return FactSource(turn_id=source.turn_id, step_key=source.step_key) if source.turn_id else None
