"""Graphs whose props are sealed, by choice of who makes them: what seals and opens their values, in every process that
asks for them.

Rules:
- Whether a graph is sealed stands in its row in the directory (sealed_as), which everybody reads who wants to know on
  which shard it is. It never changes: who wants the other kind makes another graph, and copies.
- sealed_as is what values are bound to: the incarnation of the graph that was made sealed. It stays when a graph moves,
  and a graph that is made of a native snapshot has that of the snapshot, whose values stay as they are.
- All calls about a sealed graph go through argosy/graph/sealed_shard.py; those about others do not.
"""

import uuid
from typing import Final

from argosy.config import Settings
from argosy.graph.facts import GraphRef
from argosy.graph.sealed_shard import SealedShard, sealer_of
from argosy.graph.transport import Transport
from argosy.seal.errors import GraphSealedError
from argosy.store.graph import Directory, GraphRow


class Sealing:
    """What one process knows of sealed graphs."""

    def __init__(self, directory: Directory, settings: Settings) -> None:
        self._directory = directory
        self._is_default: Final = settings.graphs_sealed

    async def mark(self, tenant: str, incarnation: uuid.UUID, *, is_sealed: bool | None) -> uuid.UUID | None:
        """Return sealed_as of a new graph; None: it is not sealed. is_sealed: None: as GRAPHS_SEALED says.

        Raises GraphSealedError when this process seals nothing, and StoreUnavailableError.
        """
        if not (self._is_default if is_sealed is None else is_sealed):
            return None
        await sealer_of(self._directory.seals, tenant)
        return incarnation

    def through(self, shard: Transport, ref: GraphRef) -> Transport:
        """Return the shard of a graph as that is to be asked."""
        return shard if ref.sealed_as is None else SealedShard(shard, self._directory.seals)


def check_kind(row: GraphRow, is_sealed: bool | None) -> None:
    """Raise GraphSealedError when a graph that is there is not of the kind that is asked for; None: any is."""
    if is_sealed is not None and is_sealed != row.is_sealed:
        kind = "sealed" if row.is_sealed else "not sealed"
        raise GraphSealedError(f"graph {row.graph!r} is there, and {kind}: that never changes; make another one")
