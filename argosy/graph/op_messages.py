"""Operations, and parameters of queries, as the messages of proto/argosy/rpc/shard.proto, and back. Pure.

Exact: what arrives is equal to what was sent.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from argosy.errors import GraphInputError
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, Props, UpsertEdge, UpsertNode, check_json
from argosy.rpc import shard_pb2 as pb

_encode: Final = msgspec.json.Encoder().encode
_decode_props: Final = msgspec.json.Decoder(dict[str, Any]).decode


def op_to_pb(op: Op) -> pb.Op:
    """Return an operation that `check_ops` has passed."""
    match op:
        case UpsertNode():
            return pb.Op(
                upsert_node=pb.UpsertNode(
                    id=op.id,
                    label=op.label,
                    props=_encode(op.props),
                    has_vectors=op.vectors is not None and not op.keep_vectors,
                    vectors=_vectors_to_pb(op.vectors),
                    if_absent=op.if_absent,
                    if_version=op.if_version,
                )
            )
        case UpsertEdge():
            return pb.Op(
                upsert_edge=pb.UpsertEdge(
                    src=op.src,
                    type=op.type,
                    dst=op.dst,
                    props=_encode(op.props),
                    if_absent=op.if_absent,
                    if_version=op.if_version,
                )
            )
        case MergeProps():
            return pb.Op(
                merge_props=pb.MergeProps(
                    id=op.id,
                    src=op.src,
                    type=op.type,
                    dst=op.dst,
                    props=_encode(op.props),
                    if_version=op.if_version,
                    vectors=_vectors_to_pb(op.vectors),
                )
            )
        case DeleteNode():
            return pb.Op(delete_node=pb.DeleteNode(id=op.id, if_version=op.if_version))
        case DeleteEdge():
            return pb.Op(delete_edge=pb.DeleteEdge(src=op.src, type=op.type, dst=op.dst, if_version=op.if_version))


def op_of_pb(message: pb.Op) -> Op:
    """Return an operation, unchecked. Raises GraphInputError for one that this version does not know."""
    kind = message.WhichOneof("op")
    match kind:
        case "upsert_node":
            node = message.upsert_node
            vectors = _vectors_of_pb(node.vectors)
            return UpsertNode(
                node.id,
                node.label,
                _props(node.props),
                vectors if vectors or node.has_vectors else None,
                node.if_absent,
                _optional(node, "if_version"),
                keep_vectors=bool(vectors) and not node.has_vectors,
            )
        case "upsert_edge":
            edge = message.upsert_edge
            return UpsertEdge(
                edge.src, edge.type, edge.dst, _props(edge.props), edge.if_absent, _optional(edge, "if_version")
            )
        case "merge_props":
            merged = message.merge_props
            names = {name: _optional(merged, name) for name in ("id", "src", "type", "dst", "if_version")}
            return MergeProps(_props(merged.props), **names, vectors=_vectors_of_pb(merged.vectors) or None)
        case "delete_node":
            return DeleteNode(message.delete_node.id, _optional(message.delete_node, "if_version"))
        case "delete_edge":
            gone = message.delete_edge
            return DeleteEdge(gone.src, gone.type, gone.dst, _optional(gone, "if_version"))
    raise GraphInputError("ops: an operation that this version does not know")


def params_to_pb(params: Props) -> bytes:
    """Return the parameters of a query. Raises GraphInputError for what would not arrive as it is."""
    check_json("params", params)
    return _encode(params)


def params_of_pb(raw: bytes) -> Props:
    return _props(raw)


def _props(raw: bytes) -> Props:
    try:
        return _decode_props(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GraphInputError(f"props: {error}") from error


def _optional(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def _vectors_to_pb(vectors: dict[str, list[float]] | None) -> list[pb.Vector]:
    return [pb.Vector(name=name, values=values) for name, values in (vectors or {}).items()]


def _vectors_of_pb(vectors: Iterable[pb.Vector]) -> dict[str, list[float]]:
    return {each.name: list(each.values) for each in vectors}
