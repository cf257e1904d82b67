"""Where a new graph goes: rendezvous hashing (HRW). Pure.

Every shard has a score for a graph, and the highest of those that answer wins. So every process places alike without
asking anybody, one shard more, or one less, changes the place of 1/N of the graphs only, and what belongs to a shard
that is away goes to the next ones, evenly. Whatever a process believes of the shards, the directory has one row for a
name, and once it is there it rules. The scores must stay as they are nevertheless (golden values in
tests/graph/test_placement.py), or processes of two versions would place one and the same name differently.
"""

import uuid
from collections.abc import Collection

from argosy import ids


def score_of(member_id: uuid.UUID, tenant: str, graph: str) -> int:
    """Return the score of a shard for a graph: 64 bits."""
    return int.from_bytes(ids.digest(str(member_id), tenant, graph, size_bytes=8), "big")


def place(members: Collection[uuid.UUID], tenant: str, graph: str) -> uuid.UUID:
    """Return the member that a new graph goes to. Raises ValueError when there is none."""
    return max(members, key=lambda each: (score_of(each, tenant, graph), each))
