"""Reciprocal rank fusion: one ranking of several whose scores cannot be compared. Pure.

An item that a ranking has at rank r (from 1) gets 1 / (OFFSET + r) from it; what it gets from all rankings is its
score. So what several rankings have comes before what only one has, and no ranking outshouts the others. OFFSET is the
60 of Cormack, Clarke and Büttcher (2009): the greater it is, the less the first ranks count for more than the others.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Final, TypeVar

from argosy.graph.facts import Hit

OFFSET: Final = 60

Item = TypeVar("Item", bound=Hashable)


def fuse(rankings: Iterable[Iterable[Item]]) -> list[tuple[Item, float]]:
    """Return all items with their scores, the best first; equal ones in the order in which they were met.

    An item counts once per ranking, at its first rank there.
    """
    scores: dict[Item, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(dict.fromkeys(ranking), start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (OFFSET + rank)
    return sorted(scores.items(), key=lambda entry: -entry[1])


def fuse_hits(rankings: Sequence[Sequence[Hit]], limit: int) -> list[Hit]:
    """Return at most `limit` hits of several searches of one graph: each node once, with its score here."""
    nodes = {hit.node.id: hit.node for ranking in rankings for hit in ranking}
    order = fuse([hit.node.id for hit in ranking] for ranking in rankings)
    return [Hit(nodes[node_id], score) for node_id, score in order[:limit]]
