"""Operations that change a graph: the one shape of writes in REST, in steps, in ingested lines and, as messages, in
gRPC. Pure.

    {"op": "upsert_node", "id": "ada", "label": "Person", "props": {"born": 1815}}
    {"op": "upsert_edge", "src": "ada", "type": "KNOWS", "dst": "bob", "props": {"since": 1833}}
    {"op": "merge_props", "id": "ada", "props": {"born": null}}
    {"op": "delete_edge", "src": "ada", "type": "KNOWS", "dst": "bob"}
    {"op": "delete_node", "id": "ada"}

Rules:
- An upsert sets label and all props; merge_props sets those that it names, and removes those that it names as null (RFC
  7396, at the top level).
- A node goes with its edges. An edge needs both of its nodes: they are there, or an earlier operation of the same batch
  makes them.
- A batch is applied whole or not at all. A condition that does not hold refuses its batch.
- A version is the number of the batch that wrote a node or an edge last: 1, 2, … in each graph.
- Integers have 64 bits with a sign; a number with a point or an exponent is a double.
- Props are nested NESTING_MAX deep at most, themselves counted.
- What has more operations, more vectors of a node or more bytes than may be is too large: GraphTooLargeError, which
  says what to make smaller. All else that breaks a rule can never be written, in any part: GraphInputError.
- Names (ids, labels, types, names of vectors) are any text of 1 to NAME_LENGTH_MAX characters, without control
  characters. As UTF-8 that is at most four times as many bytes, which an index of Postgres, an address and a message
  can have.
"""

import math
from array import array
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import msgspec

from argosy.errors import GraphInputError, GraphTooLargeError

NAME_LENGTH_MAX: Final = 512
OPS_MAX: Final = 10_000  # in one batch
PROPS_SIZE_BYTES_MAX: Final = 1_048_576  # of one node or edge
# Of props and of a query's parameters. What a turn records of an answer may be nested 100 deep (workflow/payload.py):
# that leaves room for what is around props there, and for what a workflow makes of them.
NESTING_MAX: Final = 64
VECTORS_MAX: Final = 8  # of one node
DIMENSION_MAX: Final = 4_096
INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1

Props = dict[str, Any]


class _Op(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="op"):
    pass


class UpsertNode(_Op, frozen=True, tag="upsert_node"):
    """Makes a node, or sets all of one that is there. vectors: float32 by name; None leaves those that are there.
    keep_vectors: those of other names stay.
    """

    id: str
    label: str
    props: Props = {}
    vectors: dict[str, list[float]] | None = None
    if_absent: bool = False
    if_version: int | None = None
    keep_vectors: bool = False


class UpsertEdge(_Op, frozen=True, tag="upsert_edge"):
    src: str
    type: str
    dst: str
    props: Props = {}
    if_absent: bool = False
    if_version: int | None = None


class MergeProps(_Op, frozen=True, tag="merge_props"):
    """Changes some props of a node (id), or of an edge (src, type, dst), which is there. vectors: of a node; those of
    other names stay.
    """

    props: Props
    id: str | None = None
    src: str | None = None
    type: str | None = None
    dst: str | None = None
    if_version: int | None = None
    vectors: dict[str, list[float]] | None = None


class DeleteNode(_Op, frozen=True, tag="delete_node"):
    """Deletes a node and its edges. That it is not there is no error; so for an edge."""

    id: str
    if_version: int | None = None


class DeleteEdge(_Op, frozen=True, tag="delete_edge"):
    src: str
    type: str
    dst: str
    if_version: int | None = None


Op = UpsertNode | UpsertEdge | MergeProps | DeleteNode | DeleteEdge

# What is asked of each operation is looked up: there are tens of thousands of operations in a second.
_NAMES: Final[dict[type[Any], tuple[str, ...]]] = {
    UpsertNode: ("id", "label"),
    UpsertEdge: ("src", "type", "dst"),
    MergeProps: ("id", "src", "type", "dst"),
    DeleteNode: ("id",),
    DeleteEdge: ("src", "type", "dst"),
}
_UPSERTS: Final = (UpsertNode, UpsertEdge)
_WITH_VECTORS: Final = (UpsertNode, MergeProps)
_DELETES: Final = (DeleteNode, DeleteEdge)
_PLAIN: Final = frozenset({str, bool, type(None)})  # what props have most, and nothing is wrong with

_decode_ops: Final = msgspec.json.Decoder(list[Op]).decode
_encode: Final = msgspec.json.Encoder().encode


def decode_ops(data: bytes) -> list[Op]:
    """Return the operations of a JSON list. Raises GraphInputError, which names the operation and what is
    wrong, and GraphTooLargeError.
    """
    try:
        ops = _decode_ops(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GraphInputError(f"ops: {error}") from error
    check_ops(ops)
    return ops


def encode_ops(ops: Sequence[Op]) -> bytes:
    """Return the operations as `decode_ops` reads them: equal operations in equal bytes."""
    return _encode(ops)


def check_ops(ops: Sequence[Op]) -> None:
    """Raise GraphInputError when one of them breaks a rule, GraphTooLargeError when it has too much. The message begins
    with ops[INDEX].
    """
    if not 1 <= len(ops) <= OPS_MAX:
        error = GraphTooLargeError if ops else GraphInputError
        raise error(f"ops: a batch has 1 to {OPS_MAX} operations, not {len(ops)}")
    for index, op in enumerate(ops):
        if fault := _fault_of(op):
            raise GraphInputError(f"ops[{index}]: {fault}")
        if isinstance(op, _WITH_VECTORS) and op.vectors and len(op.vectors) > VECTORS_MAX:
            raise GraphTooLargeError(f"ops[{index}]: a node has at most {VECTORS_MAX} vectors")
        if not isinstance(op, _DELETES):
            check_json(f"ops[{index}]: props", op.props, PROPS_SIZE_BYTES_MAX)


def merged(props: Props, changes: Props) -> Props:
    """Return props after `merge_props`."""
    return {key: value for key, value in {**props, **changes}.items() if value is not None or key not in changes}


def fault_of_name(name: str) -> str:
    """Return what is wrong with a name, as the end of a sentence "a name …"; empty when it is valid."""
    if not 1 <= len(name) <= NAME_LENGTH_MAX:
        return f"has 1 to {NAME_LENGTH_MAX} characters, not {len(name)}"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is no valid Unicode"
    if not name.isprintable() and any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in name):
        return "has no control characters"
    return ""


def check_json(what: str, props: Props, size_bytes_max: float = math.inf) -> None:
    """Raise GraphInputError for props, or parameters of a query, that cannot be written down as they are, and
    GraphTooLargeError for more bytes. what: what a message calls them.
    """
    try:
        size = len(_encode(props))
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError) as error:
        raise GraphInputError(f"{what}: cannot be JSON: {error}") from error
    if size > size_bytes_max:
        raise GraphTooLargeError(f"{what}: at most {size_bytes_max} bytes as JSON, not {size}")
    if fault := _fault_of_json(props):
        raise GraphInputError(f"{what}: {fault}")


def _fault_of_json(props: Props) -> str:
    if all(map(_is_plain, props, props.values())):
        return ""
    level: list[Any] = [props]
    for depth in count(1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict | list | tuple):
                if depth > NESTING_MAX:
                    return f"nested deeper than {NESTING_MAX}"
                below.extend(value.values() if isinstance(value, dict) else value)
            if fault := _fault_of_value(value):
                return fault
        if not below:
            break
        level = below
    return ""


def _is_plain(key: Any, value: Any) -> bool:
    """Whether this is seen at a glance to be right, as most props are."""
    kind = type(value)
    if kind is int:
        return INT_MIN <= value <= INT_MAX and type(key) is str
    return kind in _PLAIN and type(key) is str


def _fault_of_value(value: Any) -> str:
    if isinstance(value, dict):
        bad = [key for key in value if not isinstance(key, str)]
        return f"a key is a text, not {bad[0]!r}" if bad else ""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is no JSON number"
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        return f"{value} does not fit into 64 bits with a sign"
    return ""


def _fault_of(op: Op) -> str:
    for name in _NAMES[type(op)]:
        value = getattr(op, name)
        if value is not None and (fault := fault_of_name(value)):
            return f"{name} {fault}"
    if isinstance(op, MergeProps):
        edge = [op.src, op.type, op.dst]
        if (op.id is None) == (None in edge) or (op.id is not None and edge != [None] * 3):
            return "either id, or src, type and dst"
        if op.vectors and op.id is None:
            return "an edge has no vectors"
    if isinstance(op, _UPSERTS) and op.if_absent and op.if_version is not None:
        return "if_absent and if_version contradict each other"
    if isinstance(op, UpsertNode) and op.keep_vectors and not op.vectors:
        return "keep_vectors is said with vectors"
    if isinstance(op, _WITH_VECTORS) and op.vectors:
        return _fault_of_vectors(op.vectors)
    return ""


def _fault_of_vectors(vectors: dict[str, list[float]]) -> str:
    for name, vector in vectors.items():
        if fault := fault_of_name(name):
            return f"the name of a vector {fault}"
        if not 1 <= len(vector) <= DIMENSION_MAX:
            return f"vectors.{name} has 1 to {DIMENSION_MAX} numbers, not {len(vector)}"
        if not all(map(math.isfinite, array("f", vector))) or not any(vector):  # they are kept as float32
            return f"vectors.{name} has finite numbers that are not all 0"
    return ""
