"""Access control lists of graphs and nodes, and what they mean under KG_BRAIN_ENFORCE. Pure: the decision alone.

Rules:
- A graph's list says which labels (asker.py) may read it, write it, and administer it. Who may write may read; who
  may administer may do everything, and no list of a node keeps anything from them.
- A graph without a list is denied to everybody but administrators, or open to every known principal and turn for
  reading and writing where KG_ACL_DEFAULT_ALLOW says so. A session's own graph is its turns' own, list or none.
- A node's list is its property `_acl`: {"read": […], "write": […]}. Both lists hold: who may not read the graph does
  not read the node. A node without one is the graph's. One that is no list is nobody's but administrators'.
- An edge is there for those who may read both of its nodes, and changed by those who may write both.
- Who says not who asks is denied.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from argosy.errors import GraphInputError
from argosy.graph.asker import Asker
from argosy.graph.names import is_own
from argosy.graph.ops import MergeProps, Op, UpsertNode

PROPERTY: Final = "_acl"  # of a node: its list
LABELS_MAX: Final = 256  # of one list
LABEL_LENGTH_MAX: Final = 600  # a session's own graph has one of its name's length
_IN_PROPS: Final = f'"{PROPERTY}"'.encode()  # as a shard encodes props: never otherwise


class Right(StrEnum):
    """What somebody may do with a graph. Each has those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


ALL: Final = frozenset(Right)
_NONE: Final = frozenset[Right]()
_UP_TO: Final = {
    Right.READ: frozenset({Right.READ}),
    Right.WRITE: frozenset({Right.READ, Right.WRITE}),
    Right.ADMIN: ALL,
}


class GraphAcl(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A graph's list: labels by what they may do."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()


class GraphAccess(NamedTuple):
    """What a shard says of who may do what. acl: None: the graph has none, or the asker may not see it. rights: what
    the asker may do; all of them where lists are not enforced.
    """

    acl: GraphAcl | None
    rights: frozenset[Right]


class NodeAcl(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node's list."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


_NOBODY: Final = NodeAcl()
_Props = dict[str, msgspec.Raw]
_decode_props: Final = msgspec.json.Decoder(_Props).decode
_decode_node_acl: Final = msgspec.json.Decoder(NodeAcl).decode
_decode_graph_acl: Final = msgspec.json.Decoder(GraphAcl).decode
encode_acl: Final = msgspec.json.Encoder().encode


def decode_acl(raw: bytes | msgspec.Raw) -> GraphAcl:
    """Return a graph's list of its JSON. Raises GraphInputError."""
    try:
        acl = _decode_graph_acl(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GraphInputError(f"acl: {error}") from None
    check_labels(acl)
    return acl


def check_lists(ops: Sequence[Op]) -> None:
    """Raise GraphInputError when operations give a node something for a list that is none; null removes the list."""
    for number, op in enumerate(ops):
        if not isinstance(op, UpsertNode | MergeProps) or (value := op.props.get(PROPERTY)) is None:
            continue
        try:
            check_labels(msgspec.convert(value, NodeAcl))
        except (msgspec.ValidationError, GraphInputError, RecursionError) as error:
            raise GraphInputError(f"ops[{number}]: props.{PROPERTY}: {error}") from None


def check_labels(acl: "GraphAcl | NodeAcl") -> None:
    """Raise GraphInputError unless a list's labels are within their bounds."""
    labels = [label for each in msgspec.structs.astuple(acl) for label in each]
    if len(labels) > LABELS_MAX:
        raise GraphInputError(f"an access control list has {LABELS_MAX} labels at the most, not {len(labels)}")
    for label in labels:
        if not 1 <= len(label) <= LABEL_LENGTH_MAX:
            raise GraphInputError(f"a label has 1 to {LABEL_LENGTH_MAX} characters: {label!r:.80}")


def rights_of(acl: GraphAcl | None, asker: Asker | None, graph: str, *, is_open: bool) -> frozenset[Right]:
    """Return what an asker may do with a graph. graph: its name. is_open: KG_ACL_DEFAULT_ALLOW."""
    if asker is None:
        return _NONE
    if asker.is_admin or (is_own(graph) and graph in asker.labels):
        return ALL
    if acl is None:
        return _UP_TO[Right.WRITE] if is_open and asker.labels else _NONE
    for right, labels in ((Right.ADMIN, acl.admin), (Right.WRITE, acl.write), (Right.READ, acl.read)):
        if not asker.labels.isdisjoint(labels):
            return _UP_TO[right]
    return _NONE


def has_list(props: bytes) -> bool:
    """Whether props, as a shard stores them, have a node's list, or what stands in its place."""
    return _IN_PROPS in props and node_acl(props) is not None


def without_list(props: bytes) -> bytes:
    """Return props, as a shard stores them, without a node's list, or what stands in its place."""
    if _IN_PROPS not in props:
        return props
    return encode_acl({key: value for key, value in _decode_props(props).items() if key != PROPERTY})


def sees(asker: Asker, props: bytes) -> bool:
    """Whether an asker who may read a graph may read a node of it. props: the node's, as a shard stores them."""
    if _IN_PROPS not in props:
        return True
    acl = node_acl(props)
    return acl is None or not (asker.labels.isdisjoint(acl.read) and asker.labels.isdisjoint(acl.write))


def may_write(asker: Asker, props: bytes) -> bool:
    """Whether an asker who may write to a graph may write to a node of it."""
    if _IN_PROPS not in props:
        return True
    acl = node_acl(props)
    return acl is None or not asker.labels.isdisjoint(acl.write)


def node_acl(props: bytes) -> NodeAcl | None:
    """Return the list that a node's props have; None: none. Of what is no list: one without labels."""
    try:
        found = _decode_props(props).get(PROPERTY)
        if found is None or bytes(found) == b"null":
            return None
        return _decode_node_acl(found)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOBODY
