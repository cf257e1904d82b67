"""Forgets what turns and feeds wrote into one graph: fences them, finds it, and wipes out what deleted facts left."""

from typing import Final

import apsw

from argosy.graph.feeds import source_of
from argosy.graph.forgetting import ForgetTurns
from argosy.graph.ops import DeleteEdge, DeleteNode
from argosy.shards.engine import Written
from argosy.shards.engines import feeds, text
from argosy.shards.engines.connection import impatient, transaction
from argosy.shards.engines.reader import json_of
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "forget")
# Pages of one part of a merge of the index of words: some milliseconds, in which nothing is written to the graph.
_PAGES: Final = 256
_PARTS: Final = 8  # of one step


def find(connection: apsw.Connection, turns: ForgetTurns, limit: int) -> Written:
    """Return facts that these turns and feeds wrote last, as what deletes them: edges first, nodes once there are no
    such edges. So an edge counts once.
    """
    whose = (json_of(turns.turn_ids), json_of([source_of(each.feed).step_key for each in turns.feeds]), limit)
    edges = list(connection.execute(_SQL["find_edges"], whose))
    if edges:
        return Written([DeleteEdge(*edge) for edge in edges], 0, len(edges))
    nodes = list(connection.execute(_SQL["find_nodes"], whose))
    with_them = connection.execute(_SQL["count_edges_of"], (json_of([node[0] for node in nodes]),)).get
    return Written([DeleteNode(*node) for node in nodes], len(nodes), with_them)


def fence(connection: apsw.Connection, turns: ForgetTurns, now_ms: int) -> None:
    """Let nothing take effect that is on its way of these turns and feeds, and forget under which keys they wrote, and
    which of their lines were refused.
    """
    with transaction(connection):
        connection.executemany(
            _SQL["raise_token"], [(each.session_id.bytes, *each[1:], now_ms) for each in turns.fences]
        )
        connection.executemany(_SQL["forget_keys"], [(turn_id,) for turn_id in turns.turn_ids])
        if turns.feeds:
            feeds.end_feeds(connection, turns.feeds, now_ms)


def wipe(connection: apsw.Connection) -> bool:
    """Do a part of what takes deleted content out of the file for good. Return whether nothing is left to do: a reader
    that goes on, or a copy that is being made, keeps the log of writes.

    Pages are overwritten as they become free (connection.py). The index of words keeps them until its parts are merged.
    """
    if text.has_index(connection):
        for part in range(_PARTS):
            before = connection.total_changes()
            with transaction(connection):  # a negative number begins a merge of everything into one part
                connection.execute(_SQL["merge_words"], (_PAGES if part else -_PAGES,))
            if connection.total_changes() - before < 2:
                break
        else:
            return False
    with impatient(connection):
        is_busy, *_ = next(connection.execute(_SQL["empty_log"]))
    return not is_busy
