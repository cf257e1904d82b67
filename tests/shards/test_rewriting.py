"""A query is written anew with the names that kglite has, and nothing else of it changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.shards.views.mapping import MARK, answered_text, hidden_key, hidden_name, is_plain, true_key
from argosy.shards.views.rewriting import Rewritten
from argosy.shards.views.tokens import tokens_of


def rewritten(cypher: str) -> Rewritten:
    return Rewritten(cypher, tokens_of(cypher))


def text_of(query: Rewritten) -> str:
    """Return kglite's text, with a mark that can be written here: §."""
    return query.text.replace(MARK, "§")


@pytest.mark.parametrize(
    ("cypher", "text"),
    [
        ("MATCH (n {name: 1}) RETURN n.name", "MATCH (n {name§: 1}) RETURN n.name§"),
        ("RETURN n.`name`, n . type", "RETURN n.name§, n . type§"),
        ("RETURN n {.name, .age, title, x: label}", "RETURN n {.name§, .age, title§: title, x: label}"),
        ("RETURN {name: name, a: type(r)}", "RETURN {name§: name, a: type(r)}"),
        ("RETURN n['name'], x()[\"type\"]", "RETURN n['name§'], x()[\"type§\"]"),
        ("RETURN ['name'], x IN ['name']", "RETURN ['name'], x IN ['name']"),
        ("RETURN n[$name], [1][$i], $a[$`b c`]", "RETURN n[$k6e616d65§], [1][$k69§], $a[$k622063§]"),
        ("RETURN [$name], $name + 'name' IN keys(n), $1", "RETURN [$name], $name + 'name' IN keys(n), $u31§"),
        ("WHERE NOT 'name' IN keys(n) OR ($k IN keys(n))", "WHERE NOT 'name§' IN keys(n) OR ($k6b§ IN keys(n))"),
        ("RETURN {x: 'name' IN keys(n)}, {x: $k IN keys(n)}", "RETURN {x: 'name§' IN keys(n)}, {x: $k6b§ IN keys(n)}"),
        ("RETURN CASE 'name' IN keys(n) WHEN true THEN 1 END", "RETURN CASE 'name§' IN keys(n) WHEN true THEN 1 END"),
        ("RETURN CASE ['name'] WHEN [$x] THEN 1 END", "RETURN CASE ['name'] WHEN [$x] THEN 1 END"),
        ("WITH n.name AS name RETURN name, type", "WITH n.name§ AS name RETURN name, type"),
        ("MATCH (name:name)-[type:type]->() RETURN $name", "MATCH (name:name)-[type:type]->() RETURN $name"),
        ("CALL (n) { WITH n, title, name RETURN 1 AS x }", "CALL (n) { WITH n, title, name RETURN 1 AS x }"),
        ("RETURN list[1..name], db.name(1)", "RETURN list[1..name], db.name(1)"),
        ("RETURN 'n.name' // n.name", "RETURN 'n.name'          "),
        ("RETURN /* a\n b */ 1", "RETURN     \n      1"),
        ("RETURN n.`a b` AS `c d`", "RETURN n.u612062§ AS u632064§"),
        ("RETURN 1 AS `plain`, n.name_argosy", "RETURN 1 AS `plain`, n.name_argosy"),
    ],
)
def test_keys_and_names_are_replaced_where_they_stand_as_such(cypher: str, text: str) -> None:
    assert text_of(rewritten(cypher)) == text


def test_a_label_that_is_not_plain_becomes_a_parameter() -> None:
    query = rewritten("MATCH (a:`x y`:B|日本)-[:`C``d`|!E]->({`k k`: `v v`}) WHERE a:`B` RETURN a")

    assert text_of(query) == ("MATCH (a:$l0§:B|$l1§)-[:$l2§|!E]->({u6b206b§: u762076§}) WHERE a:`B` RETURN a")
    assert list(query.labels.values()) == ["x y", "日本", "C`d"]


def test_a_position_in_the_text_is_one_in_the_query() -> None:
    cypher = "MATCH (n {name: 1})\nRETURN n.title, n.`a b`, )"
    query = rewritten(cypher)

    line, column = 2, query.text.splitlines()[1].index(")") + 1

    assert query.position(line, column) == (2, cypher.splitlines()[1].index(")") + 1)
    assert query.position(9, 999) == (2, len(cypher.splitlines()[1]) + 1)


@given(
    st.text(max_size=20) | st.sampled_from(["name", "id", "name_x", f"u{MARK}", f"name{MARK}", f"name{MARK}{MARK}", ""])
)
def test_a_key_has_one_name_in_the_engine_and_comes_back(key: str) -> None:
    hidden = hidden_key(key)

    assert true_key(hidden) == key
    assert hidden.isascii()
    assert hidden == key or not is_plain(hidden)
    assert true_key(hidden_name(key)) == key
    assert answered_text(f"n.{hidden} + 1") == f"n.{key} + 1"
