"""What is let through to a view is told by tokens: a word is a clause only where it stands as one."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import CypherError, GraphTooLargeError
from argosy.shards.view import CYPHER_SIZE_BYTES_MAX
from argosy.shards.views.admission import NESTING_MAX, admit, check_size
from argosy.shards.views.places import place_of
from argosy.shards.views.rewriting import Rewritten
from argosy.shards.views.tokens import Kind, tokens_of


@pytest.mark.parametrize(
    "cypher",
    [
        "MATCH (n) RETURN n.delete, n.set, n {.create}, {merge: 1, remove: $drop}",
        "MATCH (n:Create)-[:SET|DELETE]->(:Merge) RETURN n",
        "RETURN 'CREATE (n)' AS a, \"it's; DELETE\" AS b, 'it\\'s; DROP' AS c",
        "RETURN 1 AS `LOAD CSV`, 2 AS `it``s; SET`",
        "MATCH (n) // DELETE n\nRETURN n /* ; CREATE () ** // */ LIMIT 1;",
        "WITH 1 AS load, 2 AS format RETURN load + format",
        "CALL { MATCH (n) RETURN n } RETURN n",
        "MATCH (n) CALL (n) { MATCH (n)--(m) RETURN m } RETURN m",
        "CALL pagerank() YIELD node, score RETURN node",
        "CALL db.labels() YIELD label RETURN label",
        "MATCH (n) RETURN [x IN n.list | x.call]",
        "UNWIND $drop AS x MATCH (n {id: x}) RETURN n",
    ],
)
def test_a_query_that_reads_may_run(cypher: str) -> None:
    admit(cypher, {"drop"})


@pytest.mark.parametrize(
    ("cypher", "column"),
    [
        ("CREATE (n)", 1),
        ("MATCH (n) SET n.x = 1", 11),
        ("MATCH (n) DETACH DELETE n", 11),
        ("MATCH (n) /* x */ delete n", 19),
        ("MATCH (n) WITH n.x AS x MERGE (m)", 25),
        ("MATCH (n) WITH n REMOVE n.x", 18),
        ("CALL { CREATE (n) } RETURN 1", 8),
        ("MATCH (n) FOREACH (x IN [1] | SET n.x = x)", 11),
        ("WITH 1 AS x LOAD CSV FROM 'file:///etc/passwd' AS row RETURN row", 13),
        ("WITH 1 AS x LOAD /* so it is */ CSV FROM 'x' AS row RETURN row", 13),
        ("CALL db.cdc.enable() YIELD x RETURN x", 1),
        ("CALL `db`.`node_embeddings`.`set`({}) YIELD x RETURN x", 1),
        ("RETURN 1; MATCH (n) RETURN n", 11),
        ("MATCH (n) RETURN n FORMAT CSV", 20),
        ("EXPLAIN MATCH (n) RETURN n", 1),
        ("FOR VALID_TIME ALL MATCH (n) RETURN n", 1),
        ("DROP INDEX x", 1),
        ("SHOW INDEXES", 1),
        ("  // nothing\n", 1),
        ("RETURN `never closed", 8),
        ("RETURN 1 /* never closed", 10),
        ("RETURN 'never closed\\'", 8),
        ("RETURN $there, $missing", 16),
        ("RETURN $`missing too`", 8),
    ],
)
def test_a_query_that_is_refused_says_where(cypher: str, column: int) -> None:
    with pytest.raises(CypherError) as error:
        admit(cypher, {"there"})

    assert error.value.position == (1, column)


def test_a_query_is_bounded_in_length_and_in_depth() -> None:
    admit("RETURN " + "(" * NESTING_MAX + "1" + ")" * NESTING_MAX, ())
    with pytest.raises(CypherError, match="nested"):
        admit("RETURN " + "(" * 3_000 + "1" + ")" * 3_000, ())
    with pytest.raises(CypherError, match="nested"):
        admit("RETURN " + "[" * 3_000, ())
    check_size("RETURN '" + "x" * (CYPHER_SIZE_BYTES_MAX - 9) + "'")
    for large in ("RETURN '" + "x" * 10_000_000 + "'", "RETURN '" + "ö" * (CYPHER_SIZE_BYTES_MAX // 2) + "'"):
        with pytest.raises(GraphTooLargeError):
            check_size(large)


@pytest.mark.parametrize(
    "cypher",
    [
        "RETURN " + "1+" * 32_000 + "1",
        "MATCH (n:A" + "|B" * 32_000 + ") RETURN n",
        "MATCH (n:" + "!" * 65_000 + "B) RETURN n",
        "RETURN n" + ".name" * 13_000,
        "RETURN /*" + "* " * 32_000,
        "RETURN `" + "``" * 32_000,
        "RETURN '" + "\\a" * 32_000,
    ],
)
def test_a_long_query_takes_no_time_that_grows_with_its_square(cypher: str) -> None:
    began_s = time.process_time()
    with contextlib.suppress(CypherError):
        Rewritten(cypher, admit(cypher, ())).position(1, 60_000)

    assert time.process_time() - began_s < 2


@pytest.mark.parametrize(
    ("message", "cypher", "place"),
    [
        ("Undefined variable 'n'", "MATCH (n) WITH n.x AS x RETURN x, n", 34),
        ("Undefined variable 'x'", "RETURN 'x', y.x, x /* x */, {x: 1}, $x, 1 AS x", 17),
        ("Undefined variable 'a b'", "RETURN `a b`", 7),
        ("Undefined variable 'n'", "RETURN [1, 2][0..n]", 17),
        ("Unknown function: f", "MATCH (f) RETURN n.f, F(), f()", 22),
        ("Unknown function: text.f", "RETURN f(1), text.f(1)", 13),
        ("Invalid integer: 9223372036854775808", "RETURN '9223372036854775808', 9223372036854775808", 30),
        ("Procedure 'degree' does not yield 'x'. Available: node", "CALL degree() YIELD node, x RETURN x", 26),
        ("CALL pagerank(): unknown config key 'x'.", "CALL pagerank({x: 1}) YIELD node RETURN node", 15),
        ("size() requires at least one argument", "RETURN 1, SIZE()", 10),
        ("size() requires at least one argument", "RETURN size([1]), size()", None),
        ("Aggregate function 'count' cannot be used here", "MATCH (n) WHERE count(n) > 1 RETURN n", 16),
        ("LIMIT requires a non-negative integer", "RETURN 1 LIMIT -1", 9),
        ("Integer division by zero", "RETURN 1/0", None),
        ("Undefined variable 'y'", "RETURN x", None),
    ],
)
def test_what_an_error_names_is_found_in_the_query(message: str, cypher: str, place: int | None) -> None:
    assert place_of(message, tokens_of(cypher)) == place


@given(st.text(alphabet="aA1 `'\"/*\\\n.$;({[]})|:öé😀", max_size=60))
def test_tokens_are_the_query_without_its_spaces(cypher: str) -> None:
    try:
        tokens = tokens_of(cypher)
    except CypherError:
        assert any(sign in cypher for sign in ("'", '"', "`", "/*"))
        return
    assert all(cypher[token.start : token.end] == token.text for token in tokens)
    between = list(cypher)
    for token in tokens:
        between[token.start : token.end] = [" "] * len(token.text)
    assert "".join(between).isspace() or not cypher
    assert all(token.text for token in tokens if token.kind is Kind.SIGN)
