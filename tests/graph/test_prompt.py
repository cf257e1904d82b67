"""What is found stands in a prompt in one line, whatever was stored."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from argosy.graph.facts import Edge, LabelCount, Node, Source, Summary
from argosy.graph.prompt import PROPS_LENGTH_MAX, edge_line, node_line, summary_text

NONE = Source()


def test_a_node_and_an_edge() -> None:
    assert node_line(Node("ada", "Person", b'{"born":1815}', 1, NONE)) == 'Person ada {"born":1815}'
    assert node_line(Node("日本", "Land", b"{}", 1, NONE)) == "Land 日本"
    assert (
        node_line(Node("ada", "Person", b'{"_acl":{"read":["*"]},"born":1815}', 1, NONE)) == 'Person ada {"born":1815}'
    )
    assert edge_line(Edge("ada", "KNOWS", "Bob B", b"{}", 1, NONE)) == 'ada -KNOWS-> "Bob B"'


def test_long_props_are_cut() -> None:
    line = node_line(Node("ada", "Person", b'{"text":"' + "日".encode() * 10_000 + b'"}', 1, NONE))

    assert len(line) < PROPS_LENGTH_MAX + 20
    assert line.endswith("日…")


def test_a_summary_says_what_there_is() -> None:
    summary = Summary(
        [LabelCount("Person", 12, [("name", 12), ("born at", 9)]), LabelCount("Note", 3, [])],
        [LabelCount("KNOWS", 5, [("since", 5)])],
    )

    assert summary_text(summary) == 'Nodes: Person 12 (name 12, "born at" 9), Note 3\nEdges: KNOWS 5 (since 5)'
    assert summary_text(Summary([], [])) == "Nodes: none\nEdges: none"


def test_a_summary_of_much_is_short() -> None:
    counts = [LabelCount("L" * 200 + str(at), 1, [(f"p{each}" * 100, 1) for each in range(50)]) for at in range(100)]

    text = summary_text(Summary(counts, counts))

    assert len(text) < 6_000
    assert "and 99 more" in text


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_text_of_others_makes_no_line(text: str) -> None:
    assert len(node_line(Node(text, text, msgspec.json.encode({text: text}), 1, NONE)).splitlines()) == 1
    assert len(summary_text(Summary([LabelCount(text, 1, [(text, 1)])], [])).splitlines()) == 2
