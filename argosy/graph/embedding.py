"""Vectors that are made for nodes of a batch (argosy/graph/embedder.py): of which text, and how they are kept. Pure.

Rules:
- A node that is upserted gets a vector of its text, unless the operation brings one of that name. Its other vectors are
  as they would be without.
- Its text is what a search for words looks at: label, id and the strings in its props (argosy/graph/strings.py).
- Of the operations on a node the last one counts: so one vector is made for each node. A node that brings VECTORS_MAX
  vectors has no room for one more, and gets none.
- What is recorded is the batch as it was asked for, and beside it what was made: so whoever compares batches compares
  what was asked for, and whoever sends a batch again sends it with the same vectors.
"""

import struct
from collections.abc import Mapping, Sequence

import msgspec

from argosy.graph.ops import VECTORS_MAX, DeleteNode, Op, UpsertNode
from argosy.graph.strings import strings_of


class Made(msgspec.Struct, frozen=True):
    """Vectors for operations of a batch. name: theirs; vectors: float32, little-endian, by the operation's index."""

    name: str
    vectors: dict[int, bytes]

    @property
    def size_bytes(self) -> int:
        """Return how much they are as JSON, about: base64, and some signs around each."""
        return sum(len(each) * 4 // 3 + 16 for each in self.vectors.values())


def texts_of(ops: Sequence[Op], name: str, length_max: int) -> dict[int, str]:
    """Return the texts of which vectors are to be made, by the index of the operation. name: of the vectors."""
    last: dict[str, int] = {}
    for index, op in enumerate(ops):
        if isinstance(op, DeleteNode):
            last.pop(op.id, None)
        elif isinstance(op, UpsertNode):
            last[op.id] = index
    nodes = ((index, op) for index in last.values() if isinstance(op := ops[index], UpsertNode))
    return {index: _text_of(op, length_max) for index, op in nodes if _has_room(op, name)}


def made_of(name: str, vectors: Mapping[int, Sequence[float]]) -> Made:
    return Made(name, {index: struct.pack(f"<{len(each)}f", *each) for index, each in vectors.items()})


def with_made(ops: Sequence[Op], made: Made) -> list[Op]:
    """Return the operations with the vectors that were made for them."""
    done = list(ops)
    for index, numbers in made.vectors.items():
        op, vector = done[index], list(struct.unpack(f"<{len(numbers) // 4}f", numbers))
        if isinstance(op, UpsertNode):
            keeps = op.keep_vectors or op.vectors is None
            vectors = {**(op.vectors or {}), made.name: vector}
            done[index] = msgspec.structs.replace(op, vectors=vectors, keep_vectors=keeps)
    return done


def _has_room(op: UpsertNode, name: str) -> bool:
    return op.vectors is None or (name not in op.vectors and len(op.vectors) < VECTORS_MAX)


def _text_of(op: UpsertNode, length_max: int) -> str:
    return f"{op.label} {op.id}\n{strings_of(op.props, length_max)}"[:length_max]
