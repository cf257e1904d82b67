"""The props of a sealed graph, as its shard has them: their names in the clear, and each value sealed for itself. Pure.

    {"born": 1815}    →    {"born": {"$sealed:AQAAAAHx…": null}}

Rules:
- Every value is sealed, whatever it is: what looks as if it were sealed, too. So nothing that a client writes is taken
  for what it is not. A node's list (`_acl`) is not sealed: its shard enforces it.
- Null in merge_props stays: it removes the prop.
- A value is bound to its tenant, its graph, its node or edge, and its name: one that is moved does not open. Who can
  write a shard's files can still take a value back to an older one of the same place, or remove it.
- The sealed bytes are the name of a member, in Base64, and no text: shards index texts for searches, and no names.
- A value that is in the clear is read as it is: a process of a version that knows no sealed graphs wrote it.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from argosy.graph.acl import PROPERTY
from argosy.graph.facts import Edge, GraphRef, Node
from argosy.graph.ops import MergeProps, Op, Props, UpsertEdge, UpsertNode
from argosy.seal.codec import Opener, Sealer, Value
from argosy.seal.envelope import is_sealed
from argosy.seal.errors import PayloadUnreadableError
from argosy.seal.places import prop_of

Fact = TypeVar("Fact", Node, Edge)

_NAME: Final = "$sealed:"
_HEAD: Final = f'{{"{_NAME}'.encode()
_TAIL: Final = b'":null}'

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
# Keys of objects sorted, as shards do for their digests.
_encode_for_digest: Final = msgspec.json.Encoder(order="deterministic").encode


def sealed_ops(ops: Sequence[Op], sealer: Sealer, ref: GraphRef) -> list[Op]:
    """Return operations that `check_ops` has passed, with sealed props. ref: of a sealed graph."""
    return [_sealed_op(op, sealer, ref) for op in ops]


def digest_of(ops: Sequence[Op], sealer: Sealer) -> bytes:
    """Return a digest that operations have in common which are equal before they are sealed."""
    return sealer.digest(_encode_for_digest(ops))


def sealed_props(props: Props, sealer: Sealer, ref: GraphRef, fact: tuple[str, ...], *, keeps_null: bool) -> Props:
    """Return props with sealed values. fact: (id,) of a node, (src, type, dst) of an edge. keeps_null: null is not a
    value, but removes one.
    """
    sealed: Props = {}
    for name, value in props.items():
        if (value is None and keeps_null) or _is_list(fact, name):
            sealed[name] = value
        else:
            data = sealer.seal(_encode(value), _place(ref, fact, name))
            sealed[name] = {_NAME + base64.b64encode(data).decode(): None}
    return sealed


class SealedFact:
    """Props of a fact of a sealed graph, to be opened."""

    __slots__ = ("_fact", "_props", "_sealed")

    def __init__(self, fact: tuple[str, ...], props: bytes) -> None:
        self._fact = fact
        self._props = _decode(props)
        self._sealed = {
            name: data
            for name, value in self._props.items()
            if not _is_list(fact, name) and (data := _data_of(bytes(value))) is not None
        }

    def values(self, tenant: str) -> list[Value]:
        """Return what is to be opened, as a codec is asked for who opens it."""
        return [(tenant, data) for data in self._sealed.values()]

    def opened(self, opener: Opener, ref: GraphRef) -> bytes:
        """Return the props in the clear. Raises PayloadUnreadableError."""
        for name, data in self._sealed.items():
            if not is_sealed(data):
                raise PayloadUnreadableError(f"the value of prop {name!r} is not what was sealed: it was changed")
            self._props[name] = msgspec.Raw(opener.open(ref.tenant, data, _place(ref, self._fact, name)))
        return _encode(self._props)


def sealed_fact(fact: Node | Edge) -> SealedFact:
    """Return the props of a fact as its shard has it."""
    return SealedFact((fact.id,) if isinstance(fact, Node) else (fact.src, fact.type, fact.dst), fact.props)


def opened_facts(facts: Sequence[Fact], sealed: Sequence[SealedFact], opener: Opener, ref: GraphRef) -> list[Fact]:
    """Return facts in the clear. sealed: of each of them. Raises PayloadUnreadableError."""
    return [fact._replace(props=each.opened(opener, ref)) for fact, each in zip(facts, sealed, strict=True)]


def _sealed_op(op: Op, sealer: Sealer, ref: GraphRef) -> Op:
    match op:
        case UpsertNode():
            return replace(op, props=sealed_props(op.props, sealer, ref, (op.id,), keeps_null=False))
        case UpsertEdge():
            fact = (op.src, op.type, op.dst)
            return replace(op, props=sealed_props(op.props, sealer, ref, fact, keeps_null=False))
        case MergeProps():
            names: tuple[Any, ...] = (op.src, op.type, op.dst) if op.id is None else (op.id,)
            return replace(op, props=sealed_props(op.props, sealer, ref, names, keeps_null=True))
    return op


def _is_list(fact: tuple[str, ...], name: str) -> bool:
    """Whether this is the access control list of a node."""
    return name == PROPERTY and len(fact) == 1


def _place(ref: GraphRef, fact: tuple[str, ...], name: str) -> bytes:
    if ref.sealed_as is None:
        raise ValueError(f"graph {ref.graph!r} is not sealed: its props have no place")
    return prop_of(ref.tenant, ref.sealed_as, fact, name)


def _data_of(value: bytes) -> bytes | None:
    """Return what a value has sealed; None: it is in the clear. Of what is damaged, what cannot be opened."""
    if not (value.startswith(_HEAD) and value.endswith(_TAIL)):
        return None
    try:
        return base64.b64decode(value[len(_HEAD) : -len(_TAIL)], validate=True)
    except binascii.Error:
        return b""
