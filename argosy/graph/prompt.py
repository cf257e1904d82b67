"""Writes what is found in a graph down for a prompt. Pure.

    Person ada {"born":1815}              a node: label, id, props
    ada -KNOWS-> bob {"since":1833}       an edge: src, type, dst, props
    Nodes: Person 12 (name 12, born 9)    a summary, in two lines
    Edges: KNOWS 5 (since 5)

Each is one line, whatever was stored: names that are no plain words are JSON strings, and props are JSON.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from argosy.graph.acl import without_list
from argosy.graph.facts import Edge, LabelCount, Node, Summary

CUT: Final = "…"  # how a line ends of which something was left out, and no other: names with it are JSON strings
PROPS_LENGTH_MAX: Final = 2_000  # characters; what is behind them is cut off
SUMMARY_LENGTH_MAX: Final = 2_000  # characters of each line, but for the first label; some 600 tokens
_PLAIN: Final = re.compile(r"[\w.:@+#/-]+")
_LINE_ENDS: Final = str.maketrans(dict.fromkeys("\x85\u2028\u2029", " "))  # those that JSON does not escape


def node_line(node: Node) -> str:
    return f"{_name(node.label)} {_name(node.id)}{_props(node.props)}"


def edge_line(edge: Edge) -> str:
    return f"{_name(edge.src)} -{_name(edge.type)}-> {_name(edge.dst)}{_props(edge.props)}"


def summary_text(summary: Summary, length_max: int = SUMMARY_LENGTH_MAX) -> str:
    """Return labels, types and properties with how many there are of each, the most frequent first."""
    return f"Nodes: {_counts(summary.nodes, length_max)}\nEdges: {_counts(summary.edges, length_max)}"


def _counts(counts: Sequence[LabelCount], length_max: int) -> str:
    said = list(_within([_count(count, length_max) for count in counts], length_max))
    return ", ".join(said) or "none"


def _count(count: LabelCount, length_max: int) -> str:
    text = f"{_name(count.label)} {count.total}"
    props = ", ".join(_within([f"{_name(key)} {total}" for key, total in count.props], length_max // 2))
    return f"{text} ({props})" if props else text


def _within(parts: Sequence[str], length_max: int) -> Iterator[str]:
    """Yield the first parts while they are short enough in sum, at least one, and then how many there are besides."""
    length = 0
    for at, part in enumerate(parts):
        length += len(part) + 2
        if length > length_max and at > 0:
            yield f"and {len(parts) - at} more"
            return
        yield part


def _name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else msgspec.json.encode(name).decode().translate(_LINE_ENDS)


def _props(props: bytes) -> str:
    props = without_list(props)  # who may read it is nothing for a prompt
    if props == b"{}":
        return ""
    text = props[: 4 * PROPS_LENGTH_MAX].decode(errors="ignore").translate(_LINE_ENDS)
    return f" {text}" if len(text) <= PROPS_LENGTH_MAX else f" {text[:PROPS_LENGTH_MAX]}{CUT}"
