"""Whether whoever asks may have what a graph's shard hears of from the fleet alone, or not at all: the graph's end,
lines that are uploaded to it, and what its jobs show. So its shard is asked before.

Rules:
- A shard that enforces access control lists says what whoever asks may do, or that it serves no process that says not
  who asks (ListsDisagreeError). One that does not enforce them says: everything. Whether this process enforces them,
  too, says nothing of the shard: shards are the first that are set to.
- An administrator of graphs, known as that, is not asked about: no list says otherwise.
- Whoever else is known is refused while the shard does not answer. It may enforce lists, and nobody but it has them.
- Where nobody is known (without KG_AUTH_REQUIRED), all goes on as if there were no lists while the shard does not
  answer, for a moment at the most, and also when there is no such graph: there a shard that is away keeps nobody from
  deleting a graph, or from sending to the log what it is to have. So such a process must not be beside shards that
  enforce lists: while these are up it is refused, and while they are away nobody could refuse it.
"""

from typing import Final, Protocol

from argosy.errors import (
    GraphDeadlineError,
    GraphForbiddenError,
    GraphNotFoundError,
    ListsDisagreeError,
    OutcomeUnknownError,
    SettingError,
    UnavailableError,
)
from argosy.graph.acl import GraphAccess, Right
from argosy.graph.asker import Asker

_OPEN_S: Final = 2.0  # how long a shard may take where nobody is known
_NO_ANSWER: Final = (UnavailableError, OutcomeUnknownError, GraphDeadlineError, GraphNotFoundError, SettingError)


class Asked(Protocol):
    """A graph, as whoever asks has it."""

    async def get_acl(self, *, deadline_s: float | None = None) -> GraphAccess: ...


async def check_permitted(graph: Asked, name: str, asker: Asker | None, right: Right, *, is_known: bool) -> None:
    """Raise GraphForbiddenError when whoever asks has not this right to a graph; and what `get_acl` raises when the
    shard cannot be asked, by the rules above. is_known: this process says to shards who asks.
    """
    if is_known and asker is not None and asker.is_admin:
        return
    try:
        access = await graph.get_acl(deadline_s=None if is_known else _OPEN_S)
    except _NO_ANSWER as error:
        if is_known or isinstance(error, ListsDisagreeError):
            raise
        return
    if right not in access.rights:
        raise GraphForbiddenError(f"graph {name!r}: whoever asks needs the right {str(right)!r} to it")
