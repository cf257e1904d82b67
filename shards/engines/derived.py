"""The contract of what is kept of nodes for one kind of question: their words, their vectors. One per graph.

What is derived is told of every change within the transaction that makes it, and writes what it keeps there: so it
holds what the nodes hold, after a kill, too. It keeps nothing of a change in memory, since the transaction may yet be
rolled back.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import apsw


class Content(NamedTuple):
    """What a node has that is searched. props: a JSON object."""

    label: str
    props: bytes


class NodeChange(NamedTuple):
    """What a batch has made of a node. before: None for a new one. after: None for one that was deleted. vectors: those
    that were set; None: none. number: of its row. A new node may take the number of one that was deleted.
    """

    number: int
    id: str
    before: Content | None
    after: Content | None
    vectors: dict[str, list[float]] | None


class Derived(Protocol):
    def changed(self, connection: apsw.Connection, nodes: Sequence[NodeChange]) -> None:
        """Take in changes of one batch, in order; a large batch is told in parts. GraphInputError refuses the batch."""
