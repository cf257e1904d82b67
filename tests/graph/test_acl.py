"""Who may do what by access control lists: one table for graphs, one for nodes."""

from typing import Any

import msgspec
import pytest

from argosy.errors import GraphInputError
from argosy.graph.acl import (
    ALL,
    LABELS_MAX,
    GraphAcl,
    Right,
    check_lists,
    decode_acl,
    has_list,
    may_write,
    rights_of,
    sees,
)
from argosy.graph.asker import FLEET, Asker, makers_label, principal_asker, turn_asker
from argosy.graph.ops import MergeProps, Op, UpsertEdge, UpsertNode

ADA = principal_asker("ada", ("staff",), is_admin=False)
BOSS = principal_asker("boss", (), is_admin=True)
OWN = "session:default/chat"
TURN = turn_asker(OWN, None)
ADAS_TURN = turn_asker(OWN, "ada")
UNKNOWN = Asker(frozenset())
NONE: frozenset[Right] = frozenset()
READ, WRITE = frozenset({Right.READ}), frozenset({Right.READ, Right.WRITE})


@pytest.mark.parametrize(
    ("acl", "asker", "rights", "rights_if_open"),
    [
        (None, None, NONE, NONE),  # who says not who asks
        (GraphAcl(read=("*",), admin=("*",)), None, NONE, NONE),
        (None, UNKNOWN, NONE, NONE),
        (GraphAcl(read=("*",)), UNKNOWN, NONE, NONE),
        (None, ADA, NONE, WRITE),
        (None, TURN, NONE, WRITE),
        (None, BOSS, ALL, ALL),
        (None, FLEET, ALL, ALL),
        (GraphAcl(), ADA, NONE, NONE),  # a list of nobody is a list
        (GraphAcl(), BOSS, ALL, ALL),
        (GraphAcl(read=("*",)), ADA, READ, READ),
        (GraphAcl(read=("*",)), TURN, NONE, NONE),  # nobody knows whose turn it is
        (GraphAcl(read=("*",)), ADAS_TURN, READ, READ),
        (GraphAcl(read=("user:ada",)), ADA, READ, READ),
        (GraphAcl(read=("user:ad", "user:adam", "ada", "USER:ADA")), ADA, NONE, NONE),
        (GraphAcl(write=("role:staff",)), ADA, WRITE, WRITE),
        (GraphAcl(write=("role:staff",)), ADAS_TURN, NONE, NONE),  # a turn has no roles
        (GraphAcl(read=("user:ada",), write=("user:bob",)), ADA, READ, READ),
        (GraphAcl(admin=("user:ada",)), ADA, ALL, ALL),
        (GraphAcl(write=("turns",)), TURN, WRITE, WRITE),
        (GraphAcl(write=("turns",)), ADA, NONE, NONE),
    ],
)
def test_what_somebody_may_do_with_a_graph(
    acl: GraphAcl | None, asker: Asker | None, rights: frozenset[Right], rights_if_open: frozenset[Right]
) -> None:
    assert rights_of(acl, asker, "people", is_open=False) == rights
    assert rights_of(acl, asker, "people", is_open=True) == rights_if_open


def test_a_session_s_own_graph_is_its_turns() -> None:
    assert rights_of(None, TURN, OWN, is_open=False) == ALL
    assert rights_of(GraphAcl(), TURN, OWN, is_open=False) == ALL
    assert rights_of(None, TURN, "session:default/other", is_open=False) == NONE
    assert rights_of(None, ADA, OWN, is_open=False) == NONE
    # A graph that is called as a label is nobody's own.
    assert rights_of(None, TURN, "turns", is_open=False) == NONE


@pytest.mark.parametrize(
    ("acl", "is_seen", "is_writable"),
    [
        (None, True, True),
        ({}, False, False),
        ({"read": ["user:ada"]}, True, False),
        ({"write": ["user:ada"]}, True, True),
        ({"read": ["user:bob"], "write": []}, False, False),
        ({"read": ["*"]}, True, False),
        ({"read": ["role:staff"], "write": ["role:staff"]}, True, True),
        # What is no list is nobody's.
        ("user:ada", False, False),
        (["user:ada"], False, False),
        (True, False, False),
        ({"read": "user:ada"}, False, False),
        ({"read": ["user:ada"], "admin": ["user:ada"]}, False, False),
        ({"read": ["user:ada", 7]}, False, False),
    ],
)
def test_what_somebody_may_do_with_a_node(acl: Any, is_seen: bool, is_writable: bool) -> None:
    props = msgspec.json.encode({"name": '"_acl"', "_acl": acl, "born": 1815})

    assert sees(ADA, props) is is_seen
    assert may_write(ADA, props) is is_writable
    assert has_list(props) is (acl is not None)


def test_a_list_is_one_at_the_top_of_the_props_alone() -> None:
    assert sees(ADA, msgspec.json.encode({"deep": {"_acl": {}}}))
    assert not has_list(msgspec.json.encode({"deep": {"_acl": {}}}))


def test_who_makes_a_graph_is_its_administrator() -> None:
    assert makers_label(ADA) == "user:ada"
    assert makers_label(ADAS_TURN) == "user:ada"
    assert makers_label(TURN) == "turns"
    assert makers_label(UNKNOWN) == ""


def test_no_name_becomes_another_ones_label() -> None:
    crafty = principal_asker("x", ("admin", "*", "turns", "user:ada", OWN), is_admin=False)

    assert rights_of(GraphAcl(admin=("user:ada", "turns")), crafty, OWN, is_open=False) == NONE


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b"null", b'{"read": "ada"}', b'{"reads": []}', b'{"read": [""]}', b'{"read": [7]}', b"\xff"]
)
def test_what_is_no_list_is_refused(raw: bytes) -> None:
    with pytest.raises(GraphInputError):
        decode_acl(raw)


def test_a_list_is_bounded() -> None:
    decode_acl(msgspec.json.encode({"read": ["a"] * LABELS_MAX}))
    with pytest.raises(GraphInputError, match="256"):
        decode_acl(msgspec.json.encode({"read": ["a"] * LABELS_MAX, "write": ["b"]}))
    with pytest.raises(GraphInputError, match="600"):
        decode_acl(msgspec.json.encode({"read": ["a" * 601]}))


@pytest.mark.parametrize("acl", ["*", [], {"read": "*"}, {"admin": ["*"]}, {"read": [""]}])
def test_nodes_get_no_lists_that_are_none(acl: Any) -> None:
    ops: list[Op] = [UpsertNode("bob", "Person"), MergeProps(id="ada", props={"_acl": acl})]

    with pytest.raises(GraphInputError, match=r"ops\[1\]: props._acl"):
        check_lists(ops)
    check_lists([UpsertNode("ada", "Person", {"_acl": None}), UpsertEdge("ada", "KNOWS", "bob")])
