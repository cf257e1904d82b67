"""Finds the nodes of a graph by words: an index (FTS5) in the graph's own file.

Rules:
- The index has the words of a node's id, of its label and of all strings in its props, however deep, but for its
  access control list: of the first TEXT_LENGTH_MAX characters of props.
- It is made on first use, in parts, so that others write meanwhile. What is made of it, the transactions that change
  nodes keep up. So a search finds what the file has.
- Found are nodes with all words of a search, the best first (bm25); when they are fewer than may be, then those with
  some.
- A search costs what its rarest words say, not what the graph holds: words are ranked by, the rarest first, as long as
  at most RANKED_MAX nodes have them in sum. Of the others it is only seen to that a node has them. Of what has nothing
  but words that more nodes have, the newest nodes are found.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw
import msgspec

from argosy.graph.facts import Hit
from argosy.graph.strings import strings_of_props
from argosy.shards.engines.derived import NodeChange
from argosy.shards.engines.reader import node_of, within_size
from argosy.shards.engines.words import Phrase, phrases_of, words_of
from argosy.statements import load_statements

TEXT_LENGTH_MAX: Final = 100_000  # the commit that changes a node indexes all of its words
RANKED_MAX: Final = 3_000  # some 1.5 µs each
PART: Final = 500  # nodes in one transaction of a build: some 20 ms
_PART_SIZE_BYTES: Final = 8_388_608  # of their props
_ALL: Final = 2**63 - 1  # in place of the last node's number: the index is whole
_SQL: Final = load_statements("argosy.shards.engines", "text")


class TextIndex:
    """The text index of one graph. It keeps nothing in memory."""

    def changed(self, connection: apsw.Connection, nodes: Sequence[NodeChange]) -> None:
        built_to = _built_to(connection)
        for node in nodes:
            if built_to is None or node.number > built_to:
                continue
            before = node.before and _columns(node.id, *node.before)
            after = node.after and _columns(node.id, *node.after)
            if after is None:
                connection.execute(_SQL["remove_words"], (node.number,))
            elif after != before:
                connection.execute(_SQL["put_words"], (node.number, *after))

    def is_built(self, connection: apsw.Connection) -> bool:
        return _built_to(connection) == _ALL

    def build(self, connection: apsw.Connection) -> bool:
        """Take the next nodes into the index, in the caller's transaction. Return whether all are in it."""
        built_to = _built_to(connection)
        if built_to is None:
            connection.execute(_SQL["make_index"])
            built_to = -(2**63)
        if built_to == _ALL:
            return True
        nodes: Any = connection.execute(_SQL["nodes_after"], (built_to, PART))
        size_bytes = 0
        last = _ALL
        for count, (number, node_id, label, props) in enumerate(nodes, start=1):
            connection.execute(_SQL["put_words"], (number, *_columns(node_id, label, props)))
            size_bytes += len(props)
            if count == PART or size_bytes > _PART_SIZE_BYTES:
                last = number
                break
        nodes.close()
        connection.execute(_SQL["set_built_to"], (last,))
        return last == _ALL

    def search(self, connection: apsw.Connection, text: str, limit: int) -> list[Hit]:
        """Return at most `limit` nodes. connection: in a snapshot in which the index is built."""
        counts = {phrase: _count(connection, phrase) for phrase in phrases_of(text)}
        present = [phrase for phrase in counts if counts[phrase]]
        ranked = _rarest(counts)
        hits: list[Hit] = []
        if len(present) == len(counts):
            hits = _find(connection, " AND ", ranked, present, limit)
        if len(counts) == 1 or len(hits) >= limit:
            return hits
        having_all = {hit.node.id for hit in hits}
        some = _find(connection, " OR ", ranked, ranked or present, limit + len(hits))
        rest = [hit for hit in some if hit.node.id not in having_all]
        above = rest[0].score if rest else 0.0
        return [Hit(hit.node, hit.score + above) for hit in hits] + rest[: limit - len(hits)]


def has_index(connection: apsw.Connection) -> bool:
    """Whether anybody has searched the graph for words yet."""
    return connection.execute(_SQL["has_index"]).fetchone() is not None


def _built_to(connection: apsw.Connection) -> int | None:
    """Return up to which number nodes are in the index. None: there is no index."""
    if not has_index(connection):
        return None
    built_to: int = connection.execute(_SQL["built_to"]).get
    return built_to


def _count(connection: apsw.Connection, phrase: Phrase) -> int:
    """Return how many nodes have a phrase; one more than are ranked stands for all that are more."""
    count: int = connection.execute(_SQL["count_matches"], (_match("", [phrase]), RANKED_MAX + 1)).get
    return count


def _rarest(counts: dict[Phrase, int]) -> list[Phrase]:
    """Return the phrases to rank by: those that the fewest nodes have."""
    chosen: list[Phrase] = []
    left = RANKED_MAX
    for phrase, count in sorted(counts.items(), key=lambda entry: entry[1]):
        if 0 < count <= left:
            chosen.append(phrase)
            left -= count
    return chosen


def _find(
    connection: apsw.Connection, operator: str, ranked: list[Phrase], required: list[Phrase], limit: int
) -> list[Hit]:
    """Return nodes with the required phrases, ranked by some of these; without any, the newest."""
    if not required:
        return []
    match, within = _match(operator, ranked), _match(operator, required)
    rows: Iterable[Any]
    if not ranked:
        rows = connection.execute(_SQL["newest"], (within, limit))
    elif len(ranked) == len(required):
        rows = connection.execute(_SQL["search"], (match, limit))
    else:
        rows = connection.execute(_SQL["search_within"], (match, limit, within))
    return [Hit(node_of(row), row[6]) for row in within_size(rows)]


def _match(operator: str, phrases: Iterable[Phrase]) -> str:
    return operator.join(f'"{" ".join(phrase.words)}"{" *" if phrase.is_open else ""}' for phrase in phrases)


def _columns(node_id: str, label: str, props: bytes) -> tuple[str, str, str]:
    """Return what the index has of a node: the words of its id, of its label and of its props."""
    text = strings_of_props(msgspec.json.decode(props), TEXT_LENGTH_MAX)
    return " ".join(words_of(node_id)), " ".join(words_of(label)), " ".join(words_of(text))
