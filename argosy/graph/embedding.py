"""Vectors that are made for nodes of a batch (argosy/graph/embedder.py): of which text, and how they are kept. Pure.

Rules:
- A node that is upserted gets a vector of its text, unless the operation brings one of that name. Its other vectors are
  as they would be without. A node that brings VECTORS_MAX vectors has no room for one more, and gets none.
- A node whose text `merge_props` changes gets a vector of the text that it then has, as far as that is known before the
  batch is applied: what others write at the same time may be missing in it.
- Its text is what a search for words looks at: label, id and the strings in its props (argosy/graph/strings.py).
- Of the operations on a node the last one counts: so one vector is made for each node.
- What is recorded is the batch as it was asked for, and beside it what was made: so whoever compares batches compares
  what was asked for, and whoever sends a batch again sends it with the same vectors.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from argosy.graph.ops import VECTORS_MAX, DeleteNode, MergeProps, Op, Props, UpsertNode, merged
from argosy.graph.strings import strings_of_props


class Made(msgspec.Struct, frozen=True):
    """Vectors for operations of a batch. name: theirs; vectors: float32, little-endian, by the operation's index."""

    name: str
    vectors: dict[int, bytes]

    @property
    def size_bytes(self) -> int:
        """Return how much they are as JSON, about: base64, and some signs around each."""
        return sum(len(each) * 4 // 3 + 16 for each in self.vectors.values())


class Text(NamedTuple):
    """What the text of a node is made of."""

    id: str
    label: str
    props: Props

    def cut(self, length_max: int) -> str:
        return f"{self.label} {self.id}\n{strings_of_props(self.props, length_max)}"[:length_max]


def ids_of_merged(ops: Sequence[Op]) -> list[str]:
    """Return the nodes that are to be known as they are, because operations change them."""
    known: set[str] = set()
    asked: dict[str, None] = {}
    for op in ops:
        if isinstance(op, UpsertNode | DeleteNode):
            known.add(op.id)
        elif isinstance(op, MergeProps) and op.id is not None and op.id not in known:
            asked[op.id] = None
    return list(asked)


def texts_of(ops: Sequence[Op], name: str, length_max: int, there: Iterable[Text] = ()) -> dict[int, str]:
    """Return the texts of which vectors are to be made, by the index of the operation.

    name: of the vectors; there: the nodes of `ids_of_merged` that the graph has.
    """
    texts = {each.id: each for each in there}
    last: dict[str, int] = {}
    for index, op in enumerate(ops):
        if isinstance(op, DeleteNode):
            texts.pop(op.id, None)
            last.pop(op.id, None)
        elif isinstance(op, UpsertNode):
            texts[op.id] = Text(op.id, op.label, op.props)
            last[op.id] = index
        elif isinstance(op, MergeProps) and op.id in texts:
            before = texts[op.id]
            after = texts[op.id] = before._replace(props=merged(before.props, op.props))
            if after.cut(length_max) != before.cut(length_max) or name in (op.vectors or {}):
                last[op.id] = index
    return {index: texts[node_id].cut(length_max) for node_id, index in last.items() if _has_room(ops[index], name)}


def made_of(name: str, vectors: Mapping[int, Sequence[float]]) -> Made:
    return Made(name, {index: struct.pack(f"<{len(each)}f", *each) for index, each in vectors.items()})


def with_made(ops: Sequence[Op], made: Made) -> list[Op]:
    """Return the operations with the vectors that were made for them."""
    done = list(ops)
    for index, numbers in made.vectors.items():
        op, vector = done[index], list(struct.unpack(f"<{len(numbers) // 4}f", numbers))
        if isinstance(op, UpsertNode | MergeProps):
            done[index] = _with(op, {**(op.vectors or {}), made.name: vector})
    return done


def _with(op: UpsertNode | MergeProps, vectors: dict[str, list[float]]) -> Op:
    if isinstance(op, MergeProps):
        return msgspec.structs.replace(op, vectors=vectors)
    return msgspec.structs.replace(op, vectors=vectors, keep_vectors=op.keep_vectors or op.vectors is None)


def _has_room(op: Op, name: str) -> bool:
    """Whether the operation brings no vector of this name, and may have one more."""
    vectors = op.vectors if isinstance(op, UpsertNode | MergeProps) else None
    return vectors is None or (name not in vectors and len(vectors) < VECTORS_MAX)
