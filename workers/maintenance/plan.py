"""Which graphs are to move. Pure.

A graph belongs to the shard that rendezvous hashing gives it among those that take graphs
(argosy/graph/placement.py). So one shard more takes about 1/N of the graphs, of all others alike, and none moves
between two others; one shard less gives its own, and only them, to all others alike.
"""

import uuid
from collections.abc import Collection, Iterable

from argosy.graph.placement import place
from argosy.store.move import Placed, Planned


def to_move(graphs: Iterable[Placed], takers: Collection[uuid.UUID]) -> list[Planned]:
    """Return those of these graphs that belong elsewhere. takers: the members that take graphs; with none of them, no
    graph belongs anywhere.
    """
    if not takers:
        return []
    belongs = ((each, place(takers, each.tenant, each.graph)) for each in graphs)
    return [Planned(each, target) for each, target in belongs if target != each.shard]
