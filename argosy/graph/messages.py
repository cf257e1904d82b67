"""Facts and what else crosses a call, as the messages of proto/argosy/rpc/shard.proto, and back. Pure.

Operations are in op_messages.py. Exact: what arrives is equal to what was sent.
"""

import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from argosy.errors import GraphInputError
from argosy.graph.acl import GraphAccess, Right, decode_acl, encode_acl
from argosy.graph.asker import Asker
from argosy.graph.facts import (
    NO_SOURCE,
    Applied,
    Edge,
    FencingToken,
    GraphName,
    GraphRef,
    GraphState,
    Hit,
    LabelCount,
    Node,
    Source,
    Stats,
    Summary,
    WriteKey,
)
from argosy.rpc import shard_pb2 as pb

_UUID_SIZE_BYTES: Final = 16


def graph_to_pb(ref: GraphRef) -> pb.Graph:
    tenant, graph, incarnation, generation, asker, _ = ref
    made = pb.Graph(tenant=tenant, graph=graph, incarnation=incarnation.bytes, generation=generation)
    if asker is not None:
        made.asker.SetInParent()  # one without labels is one all the same
        made.asker.labels.extend(sorted(asker.labels))
        made.asker.is_admin, made.asker.enforced = asker.is_admin, asker.enforced
    return made


def graph_of_pb(graph: pb.Graph) -> GraphRef:
    ref = _ref(graph.tenant, graph.graph, graph.incarnation, graph.generation)
    if not graph.HasField("asker"):
        return ref
    asker = graph.asker
    return ref._replace(asker=_asker(tuple(asker.labels), is_admin=asker.is_admin, enforced=asker.enforced))


@lru_cache(1_024)  # the same graphs are asked again and again, and a UUID takes as long to make as a node to read
def _ref(tenant: str, graph: str, incarnation: bytes, generation: int) -> GraphRef:
    return GraphRef(tenant, graph, uuid_of_pb(incarnation, "incarnation"), generation)


@lru_cache(1_024)
def _asker(labels: tuple[str, ...], *, is_admin: bool, enforced: bool) -> Asker:
    return Asker(frozenset(labels), is_admin, enforced)


def access_to_pb(access: GraphAccess) -> pb.GetAclResponse:
    acl = b"" if access.acl is None else encode_acl(access.acl)
    return pb.GetAclResponse(acl=acl, rights=sorted(access.rights))


def access_of_pb(message: pb.GetAclResponse) -> GraphAccess:
    known = set(Right)
    rights = frozenset(Right(each) for each in message.rights if each in known)
    return GraphAccess(decode_acl(message.acl) if message.acl else None, rights)


def token_to_pb(token: FencingToken) -> pb.Token:
    return pb.Token(session_id=token.session_id.bytes, epoch=token.epoch, place=token.place, attempt=token.attempt)


def token_of_pb(token: pb.Token) -> FencingToken:
    return FencingToken(uuid_of_pb(token.session_id, "session_id"), token.epoch, token.place, token.attempt)


def source_to_pb(source: Source) -> pb.Source:
    return pb.Source(turn_id=source.turn_id, step_key=source.step_key)


def source_of_pb(source: pb.Source) -> Source:
    return Source(source.turn_id, source.step_key)


def key_of_pb(request: pb.ApplyRequest) -> WriteKey | None:
    return WriteKey(request.key, request.key_made_at_ms, request.key_digest) if request.key else None


def applied_to_pb(applied: Applied) -> pb.ApplyResponse:
    return pb.ApplyResponse(version=applied.version, failed=applied.failed, reason=applied.reason)


def applied_of_pb(message: pb.ApplyResponse) -> Applied:
    return Applied(message.version, message.failed, message.reason)


def add_node(messages: Any, node: Node) -> None:
    """Append a node to the messages of a field: there, and not copied to there, since that takes twice as long."""
    message = messages.add()
    message.id, message.label, message.props, message.version, source = node
    if any(source):
        message.source.turn_id, message.source.step_key = source


def node_of_pb(node: pb.Node) -> Node:
    source = source_of_pb(node.source) if node.HasField("source") else NO_SOURCE
    return Node(node.id, node.label, node.props, node.version, source)


def add_edge(messages: Any, edge: Edge) -> None:
    """Append an edge, as `add_node` does."""
    message = messages.add()
    message.src, message.type, message.dst, message.props, message.version, source = edge
    if any(source):
        message.source.turn_id, message.source.step_key = source


def edge_of_pb(edge: pb.Edge) -> Edge:
    source = source_of_pb(edge.source) if edge.HasField("source") else NO_SOURCE
    return Edge(edge.src, edge.type, edge.dst, edge.props, edge.version, source)


def nodes_to_pb(nodes: Iterable[Node | None]) -> pb.GetNodesResponse:
    message = pb.GetNodesResponse()
    for index, node in enumerate(nodes):
        if node is not None:
            message.found.append(index)
            add_node(message.nodes, node)
    return message


def hits_to_pb(hits: Iterable[Hit]) -> pb.Hits:
    message = pb.Hits()
    for hit in hits:
        add_node(message.nodes, hit.node)
        message.scores.append(hit.score)
    return message


def hits_of_pb(message: pb.Hits) -> list[Hit]:
    return [Hit(node_of_pb(node), score) for node, score in zip(message.nodes, message.scores, strict=True)]


def summary_to_pb(summary: Summary) -> pb.SummaryResponse:
    return pb.SummaryResponse(
        nodes=map(_label_count_to_pb, summary.nodes), edges=map(_label_count_to_pb, summary.edges)
    )


def summary_of_pb(message: pb.SummaryResponse) -> Summary:
    return Summary(list(map(_label_count_of_pb, message.nodes)), list(map(_label_count_of_pb, message.edges)))


def stats_to_pb(name: GraphName, stats: Stats) -> pb.Stats:
    return pb.Stats(
        graph=graph_to_pb(GraphRef(name.tenant, name.graph, stats.incarnation, stats.generation)),
        state=stats.state.value,
        node_count=stats.node_count,
        edge_count=stats.edge_count,
        version=stats.version,
        size_bytes=stats.size_bytes,
        wal_size_bytes=stats.wal_size_bytes,
    )


def stats_of_pb(message: pb.Stats) -> tuple[GraphName, Stats]:
    ref = graph_of_pb(message.graph)
    stats = Stats(
        ref.incarnation,
        ref.generation,
        GraphState(message.state),
        message.node_count,
        message.edge_count,
        message.version,
        message.size_bytes,
        message.wal_size_bytes,
    )
    return GraphName(ref.tenant, ref.graph), stats


def _label_count_to_pb(count: LabelCount) -> pb.LabelCount:
    return pb.LabelCount(
        label=count.label,
        count=count.total,
        props=[name for name, _ in count.props],
        prop_counts=[total for _, total in count.props],
    )


def _label_count_of_pb(count: pb.LabelCount) -> LabelCount:
    return LabelCount(count.label, count.count, list(zip(count.props, count.prop_counts, strict=True)))


def uuid_of_pb(raw: bytes, what: str) -> uuid.UUID:
    """Return a UUID of its bytes. Raises GraphInputError, which says what it should be."""
    if len(raw) != _UUID_SIZE_BYTES:
        raise GraphInputError(f"{what}: 16 bytes, not {len(raw)}")
    return uuid.UUID(bytes=raw)
