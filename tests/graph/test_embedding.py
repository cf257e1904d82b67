"""Which nodes of a batch get a vector that is made, and of which text."""

from typing import Any

import msgspec
import pytest

from argosy.graph.embedding import Made, Text, ids_of_merged, made_of, texts_of, with_made
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, UpsertEdge, UpsertNode, check_ops

MANY = {f"v{number}": [1.0] for number in range(8)}
ADA = UpsertNode("ada", "Person", {"name": "Ada", "born": 1815, "of": ["日本", {"in": "London"}]})


def after(*ops: Op) -> list[Op]:
    """The operations with vectors that were made, recorded and read again; each is the index of its operation."""
    texts = texts_of(ops, "text", 100)
    made = made_of("text", {index: [index + 1.0, 0.5] for index in texts})
    done = with_made(ops, msgspec.json.decode(msgspec.json.encode(made), type=Made))
    check_ops(done)
    return done


def test_a_node_s_text_is_its_label_its_id_and_the_strings_in_its_props() -> None:
    assert texts_of([ADA], "text", 100) == {0: "Person ada\nAda\n日本\nLondon"}
    assert texts_of([ADA], "text", 8) == {0: "Person a"}


def test_what_has_no_text_is_left_as_it_is() -> None:
    ops: list[Op] = [UpsertEdge("ada", "KNOWS", "bob"), DeleteEdge("ada", "KNOWS", "bob"), DeleteNode("bob")]

    assert after(*ops) == ops


@pytest.mark.parametrize(
    ("given", "then"),
    [
        ({}, {"vectors": {"text": [1.0, 0.5]}, "keep_vectors": True}),
        ({"vectors": {}}, {"vectors": {"text": [1.0, 0.5]}}),
        ({"vectors": {"own": [7.0]}}, {"vectors": {"own": [7.0], "text": [1.0, 0.5]}}),
        (
            {"vectors": {"own": [7.0]}, "keep_vectors": True},
            {"vectors": {"own": [7.0], "text": [1.0, 0.5]}, "keep_vectors": True},
        ),
        ({"vectors": {"text": [7.0]}}, {"vectors": {"text": [7.0]}}),
        ({"vectors": MANY}, {"vectors": MANY}),
    ],
    ids=["none", "none any more", "others", "one more", "its own", "as many as may be"],
)
def test_a_node_s_other_vectors_are_as_they_would_be(given: Any, then: Any) -> None:
    assert after(UpsertNode("bob", "Person", **given)) == [UpsertNode("bob", "Person", **then)]


def test_of_the_operations_on_a_node_the_last_one_counts() -> None:
    ops: list[Op] = [ADA, UpsertNode("bob", "Person"), UpsertNode("ada", "Robot"), DeleteNode("bob")]

    assert texts_of(ops, "text", 100) == {2: "Robot ada\n"}


def test_a_node_whose_text_changes_gets_a_vector_of_the_text_that_it_then_has() -> None:
    there = [Text("bob", "Person", {"is": "sailor", "in": "Rome"}), Text("cy", "Person", {"is": "sailor"})]
    ops: list[Op] = [
        MergeProps({"is": None, "at": "sea"}, "bob"),
        MergeProps({"seen": 7}, "cy"),
        MergeProps({"is": "here"}, "nobody"),
        MergeProps({"since": "always"}, src="bob", type="KNOWS", dst="cy"),
    ]

    assert ids_of_merged(ops) == ["bob", "cy", "nobody"]
    assert texts_of(ops, "text", 100, there) == {0: "Person bob\nRome\nsea"}


def test_what_a_batch_makes_itself_is_not_asked_for() -> None:
    ops: list[Op] = [ADA, MergeProps({"name": "Augusta"}, "ada"), DeleteNode("bob"), MergeProps({"a": "b"}, "bob")]

    assert ids_of_merged(ops) == []
    assert texts_of(ops, "text", 100) == {1: "Person ada\nAugusta\n日本\nLondon"}
    assert after(*ops)[:2] == [ADA, MergeProps({"name": "Augusta"}, "ada", vectors={"text": [2.0, 0.5]})]


def test_a_vector_that_is_brought_is_not_made() -> None:
    brought = MergeProps({"name": "Augusta"}, "ada", vectors={"text": [7.0]})

    assert after(ADA, brought) == [ADA, brought]
