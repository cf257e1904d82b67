"""Forgetting what turns and feeds wrote: what a call asks for, and what came of it. Pure.

Rules:
- A fact (a node with its edges, or an edge) goes when one of the turns wrote it last. What another turn wrote over has
  that one's provenance, and stays.
- First the turns are fenced: of each of their sessions the graph keeps a token that is higher than all of theirs, and
  forgets their keys. So what is still on its way of them changes nothing.
- A feed is fenced by the line that it waits for, behind which none can come; what it refused is forgotten. What its
  lines wrote last goes as what a turn wrote.
- In the end what was deleted is nowhere in the file any more: not in free pages, in the index of words or in the log of
  writes.
- A call does as much as it has time for. It is made again until it says that nothing is left, by whoever, as often as
  one likes.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from argosy.errors import GraphInputError, GraphTooLargeError
from argosy.graph.facts import FencingToken
from argosy.graph.ops import INT_MAX, fault_of_name

TURNS_MAX: Final = 1_000  # of one call: with their fences some 100 KiB


class ForgetFeed(NamedTuple):
    """A feed that is to be forgotten. made_at_ms: as its batches say it."""

    feed: str
    made_at_ms: int


class ForgetTurns(NamedTuple):
    """Turns that are to be forgotten, by their ids as facts have them, and feeds. fences: one of each of the turns'
    sessions.

    is_again: an earlier call of the same kind may have been cut off, so that what it deleted may still be in the file.
    """

    turn_ids: Sequence[str]
    fences: Sequence[FencingToken]
    is_again: bool
    feeds: Sequence[ForgetFeed] = ()


class Forgotten(NamedTuple):
    """What one call deleted; edges that went with their nodes are counted. is_done: nothing is left."""

    nodes: int
    edges: int
    is_done: bool


def check_forget(turns: ForgetTurns) -> None:
    """Raise GraphInputError for what no call can ask for, and GraphTooLargeError."""
    if not (turns.turn_ids or turns.feeds):
        raise GraphInputError("turn_ids, feeds: at least one")
    if max(len(turns.turn_ids), len(turns.fences), len(turns.feeds)) > TURNS_MAX:
        raise GraphTooLargeError(f"turn_ids: at most {TURNS_MAX}, with as many fences, and as many feeds")
    for turn_id in turns.turn_ids:
        if fault := fault_of_name(turn_id):
            raise GraphInputError(f"the id of a turn {fault}")
    for feed in turns.feeds:
        if fault := fault_of_name(feed.feed):
            raise GraphInputError(f"the name of a feed {fault}")
        if not 0 <= feed.made_at_ms <= INT_MAX:
            raise GraphInputError(f"made_at_ms of a feed cannot be {feed.made_at_ms}")
