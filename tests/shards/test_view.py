"""What every view does: a query sees what was committed, and nodes look as operations have them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from argosy.errors import CypherError, GraphDeadlineError, GraphInputError, GraphTooLargeError, ViewLostError
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, UpsertEdge, UpsertNode
from argosy.shards.views.kglite import KgliteView
from argosy.shards.views.mapping import DEPTH_MAX
from tests.shards.views import Model, ask, rows, seen, value, view_of

ADA = UpsertNode("ada", "Person", {"name": "Ada", "born": 1815})
BOB = UpsertNode("bob", "Person", {"name": "Bob"})
KNOWS = UpsertEdge("ada", "KNOWS", "bob", {"since": 1833})


@pytest.fixture
async def view() -> AsyncIterator[KgliteView]:
    async with view_of([ADA, BOB, KNOWS]) as view:
        yield view


async def test_nodes_edges_and_paths_are_answered_as_operations_have_them(view: KgliteView) -> None:
    [[node, edge, path]] = await rows(view, "MATCH p = (n:Person {name: 'Ada'})-[r:KNOWS]->() RETURN n, r, p")

    assert node == {"id": "ada", "label": "Person", "props": {"name": "Ada", "born": 1815}}
    assert edge == {"src": "ada", "type": "KNOWS", "dst": "bob", "props": {"since": 1833}}
    assert path["nodes"][0] == node
    assert path["edges"] == [edge]


async def test_columns_keep_their_names_and_their_order(view: KgliteView) -> None:
    answer = await ask(view, "MATCH (n {id: 'ada'}) RETURN n.name, n.id, n.born AS `born in`, labels(n) AS name")

    assert answer.columns == ["n.name", "n.id", "born in", "name"]
    assert answer.rows == [["Ada", "ada", 1815, ["Person"]]]


KEYS: Final = ["name", "title", "type", "label", "node_type", "properties", "labels", "name_argosy", "日本", "a b", ""]


async def test_no_key_has_a_meaning_of_the_engines_own() -> None:
    nodes = [UpsertNode(f"-{key}", "K", {key: {key: 1}}) for key in KEYS]
    async with view_of([UpsertNode("none", "None"), *nodes]) as view:
        for key in KEYS:
            query = (
                f"MATCH (n:K) WHERE n.`{key}` IS NOT NULL RETURN n.id, n.`{key}`.`{key}`, n {{.`{key}`}}, keys(n), n"
            )
            [[node_id, inner, projected, keys, node]] = await rows(view, query)
            [[absent, subscript]] = await rows(view, f"MATCH (n:None) RETURN n.`{key}`, $map['{key}']", map={key: 2})

            assert (node_id, inner, projected, absent, subscript) == (f"-{key}", 1, {key: {key: 1}}, None, 2)
            assert sorted(keys) == sorted(["id", key])
            assert node == {"id": node_id, "label": "K", "props": {key: {key: 1}}}
            assert await rows(view, f"MATCH (n {{`{key}`: $is}}) RETURN n.id", **{"is": {key: 1}}) == [[node_id]]


async def test_a_property_named_id_is_seen_in_the_node_and_does_not_hide_its_id() -> None:
    async with view_of([UpsertNode("1", "N", {"id": 7, "x": {"id": 8}})]) as view:
        [row] = await rows(view, "MATCH (n {id: '1'}) RETURN n.id, n.x.id, n")

    assert row == ["1", 8, {"id": "1", "label": "N", "props": {"id": 7, "x": {"id": 8}}}]


async def test_a_property_named_id_shows_no_other_name_where_the_properties_are_asked_for() -> None:
    async with view_of([UpsertNode("1", "N", {"id": 7, "name": "x"})]) as view:
        [row] = await rows(view, "MATCH (n) RETURN n {.*}, properties(n), keys(n), toString(n {.name})")
        each = await rows(view, "MATCH (n) UNWIND keys(n) AS key RETURN key, n[key]")

    props = {"id": "1", "name": "x"}
    assert row == [props, props, ["id", "name"], '{name: "x"}']
    assert each == [["id", "1"], ["id", 7], ["name", "x"]]


PARAMS: Final[dict[str, Any]] = {"1": "name", "k": "a b", "i": 1, "map": {"name": 3}}


async def test_a_key_that_is_a_parameter_is_taken_as_one_that_is_written_down() -> None:
    async with view_of([UpsertNode("1", "N", {"name": "x", "a b": {"type": 2}})]) as view:
        answer = await ask(view, "MATCH (n) RETURN n[$1], n[$k], $map[$1], [1, 2][$i]", **PARAMS)
        [sought] = await rows(
            view, "MATCH (n) RETURN 'name' IN keys(n) AS a, $k IN keys(n) AS b, 'title' IN keys(n) AS c", **PARAMS
        )

    assert answer.columns == ["n[$1]", "n[$k]", "$map[$1]", "[1, 2][$i]"]
    assert answer.rows == [["x", {"type": 2}, 3, 2]]
    assert sought == [True, True, False]


TEXTS: Final = ["title_argosy", "u6162_argosy", "id_argosy", "say name_argosy", "u_argosy", "_argosy"]


async def test_a_text_that_looks_like_a_name_of_the_mapping_is_answered_as_it_is() -> None:
    async with view_of([UpsertNode("1", "N", {"x": TEXTS})]) as view:
        [row] = await rows(view, "MATCH (n) RETURN n.x, $x, properties(n), n", x=TEXTS)
        literal = await ask(view, "RETURN 'title_argosy', 'u6162' + '_argosy' AS name")

    props = {"x": TEXTS}
    assert row == [TEXTS, TEXTS, {"id": "1"} | props, {"id": "1", "label": "N", "props": props}]
    assert (literal.columns, literal.rows) == (["'title_argosy'", "name"], [["title_argosy", "u6162_argosy"]])


NAMES: Final = ["日本", "We`ird", "x y", "a/b", "emoji 😀", "1st", 'quo"te', "it's", "MATCH", "x_argosy", "x" * 300]


async def test_a_label_a_type_and_an_id_are_any_text() -> None:
    ops: list[Op] = [UpsertNode("b", "B")]
    for name in NAMES:
        ops += [UpsertNode(name, name), UpsertEdge(name, name, "b")]
    async with view_of(ops) as view:
        for name in NAMES:
            quoted = f"`{name.replace('`', '``')}`"
            query = f"MATCH (a:{quoted})-[r:{quoted}]->(b:B|{quoted}) WHERE a:{quoted} RETURN a.id, type(r), labels(a)"
            assert await rows(view, query) == [[name, name, [name]]]


async def test_names_that_are_letters_of_any_script_need_no_backticks() -> None:
    async with view_of([UpsertNode("1", "都市", {"名前": "東京"})]) as view:
        answer = await ask(view, "MATCH (都:都市 {名前: $名}) RETURN 都.名前 AS 名前", 名="東京")

    assert answer.columns == ["名前"]
    assert answer.rows == [["東京"]]


async def test_numbers_survive_both_ways() -> None:
    numbers = [2**63 - 1, -(2**63), 2**53 + 1, 0, 1.0, -0.0, 1e308, 0.1]
    async with view_of([UpsertNode(repr(each), "N", {"x": each}) for each in numbers]) as view:
        for each in numbers:
            [[stored, given]] = await rows(view, "MATCH (n {id: $id}) RETURN n.x, $x", id=repr(each), x=each)
            assert (repr(stored), repr(given)) == (repr(each), repr(each))


async def test_a_query_sees_each_kind_of_operation_that_came_before_it(view: KgliteView) -> None:
    ops: list[Op] = [
        UpsertNode("cy", "Robot", {"a": 1, "b": 2}),
        UpsertEdge("cy", "MET", "ada", {"x": 1}),
        MergeProps({"a": None, "c": 3}, id="cy"),
        MergeProps({"since": None, "well": True}, src="ada", type="KNOWS", dst="bob"),
        UpsertNode("bob", "Person", {}),
        DeleteEdge("cy", "MET", "ada"),
        DeleteEdge("cy", "MET", "ada"),
        DeleteNode("never there"),
    ]
    model = Model([ADA, BOB, KNOWS, *ops])

    await view.apply(ops, 2)

    assert view.version == 2
    assert await seen(view) == model.seen()


async def test_a_query_sees_what_is_being_applied_when_it_arrives(view: KgliteView) -> None:
    applying = [asyncio.ensure_future(view.apply([UpsertNode(f"n{i}", "N", {})], i + 2)) for i in range(20)]
    await asyncio.sleep(0)  # each has begun

    assert await value(view, "MATCH (n:N) RETURN count(n)") == 20
    await asyncio.gather(*applying)


async def test_a_node_that_gets_another_label_keeps_its_edges(view: KgliteView) -> None:
    ops: list[Op] = [UpsertEdge("ada", "IS", "ada", {"x": [1]}), UpsertNode("ada", "Robot"), UpsertNode("bob", "Robot")]

    await view.apply(ops, 2)

    assert await seen(view) == Model([ADA, BOB, KNOWS, *ops]).seen()
    assert await rows(view, "MATCH (n:Person) RETURN n") == []


async def test_what_a_view_has_already_is_taken_in_again_without_harm(view: KgliteView) -> None:
    later: list[Op] = [
        UpsertEdge("ada", "KNOWS", "gone", {}),
        MergeProps({"x": 1}, id="gone"),
        DeleteNode("gone"),
        KNOWS,
    ]

    await view.apply(later, 2)

    assert await seen(view) == Model([ADA, BOB, KNOWS]).seen()


@pytest.mark.parametrize(
    ("cypher", "position"),
    [
        ("MATCH (n) RETURN n.name AS a, n.type AS a", (1, 42)),
        ("MATCH (n)\nWHERE n.name = 1 AND n.type = 2 RETURN )", (2, 40)),
        ("MATCH (n)\n  SET n.x = 1 RETURN n", (2, 3)),
        ("MATCH (n) /* a comment */ RETURN $x", (1, 34)),
        ("RETURN 'never closed", (1, 8)),
        ("", (1, 1)),
    ],
)
async def test_a_query_that_is_wrong_says_where(view: KgliteView, cypher: str, position: tuple[int, int]) -> None:
    with pytest.raises(CypherError) as error:
        await rows(view, cypher)

    assert error.value.position == position


async def test_a_name_that_cannot_be_has_its_place_and_a_value_that_cannot_be_has_none(view: KgliteView) -> None:
    places = {
        "RETURN 'nope' AS a,\n  nope": (2, 3),
        "MATCH (n:`a b`) WITH n.type AS type RETURN type, n": (1, 50),
        "RETURN 1, nope(2)": (1, 11),
        "RETURN 9223372036854775808": (1, 8),
        "CALL degree() YIELD nope RETURN nope": (1, 21),
        "RETURN 1, size()": (1, 11),
        "RETURN 1/0": None,
    }
    found = {}
    for cypher in places:
        with pytest.raises(CypherError) as error:
            await rows(view, cypher)
        found[cypher] = error.value.position

    assert found == places


async def test_what_is_not_there_is_no_error(view: KgliteView) -> None:
    assert await rows(view, "MATCH (n:Nobody {x: 1}) RETURN n") == []
    assert await rows(view, "MATCH (n:Person {x: 1, y: 2, name: 'Ada'}) RETURN n") == []
    assert await rows(view, "MATCH (:Person)-[r:NEVER {x: 1}]->() RETURN r") == []


async def test_a_missing_parameter_is_an_error_and_an_unused_one_is_none(view: KgliteView) -> None:
    with pytest.raises(CypherError, match=r"\$id is missing"):
        await rows(view, "MATCH (n:Nobody) WHERE n.id = $id RETURN n", x=1)


async def test_an_answer_is_cut_at_its_rows_and_at_its_bytes(view: KgliteView) -> None:
    by_rows = await ask(view, "UNWIND range(1, 10) AS x RETURN x", row_limit=3)
    by_bytes = await view.query(
        "UNWIND range(1, 10) AS x RETURN 'twenty characters   '", {}, timeout_s=5, row_limit=10, size_bytes_max=100
    )
    whole = await ask(view, "UNWIND range(1, 3) AS x RETURN x", row_limit=3)

    assert (by_rows.rows, by_rows.is_cut) == ([[1], [2], [3]], True)
    assert (len(by_bytes.rows), by_bytes.is_cut) == (4, True)
    assert (whole.rows, whole.is_cut) == ([[1], [2], [3]], False)
    with pytest.raises(GraphTooLargeError):
        await view.query("RETURN range(1, 1000)", {}, timeout_s=5, row_limit=10, size_bytes_max=100)


async def test_parameters_that_cannot_be_are_refused(view: KgliteView) -> None:
    for bad in (2**63, -(2**63) - 1, 2**70, object(), {1: object()}, "\ud800"):
        with pytest.raises(GraphInputError):
            await rows(view, "RETURN $x", x=bad)
    with pytest.raises(GraphTooLargeError):
        await rows(view, "RETURN $x", x="y" * 4_000_000)
    assert await value(view, "RETURN $x", x=[None, {"a": None}]) == [None, {"a": None}]


async def test_a_value_is_seen_whole_down_to_a_depth_and_as_json_below_it() -> None:
    value_in: Any = 1
    for _ in range(40):
        value_in = {"name": value_in}
    async with view_of([UpsertNode("deep", "Deep", {"x": value_in})]) as view:
        shown = await value(view, "MATCH (n:Deep) RETURN n.x")

    depth = 0
    while isinstance(shown, dict):
        shown, depth = shown["name"], depth + 1
    assert depth == DEPTH_MAX - 1
    assert shown.count("name") == 40 - depth


async def test_a_view_that_was_not_built_or_was_closed_is_lost() -> None:
    async with view_of([ADA]) as view:
        assert not view.is_lost
        assert view.memory_bytes > 0

    assert view.is_lost
    assert view.memory_bytes == 0
    with pytest.raises(ViewLostError):
        await rows(view, "RETURN 1")
    await view.build(7, Model([ADA]).facts())
    assert await value(view, "MATCH (n) RETURN n.id") == "ada"
    await view.close()


async def test_a_deadline_that_has_passed_is_said(view: KgliteView) -> None:
    with pytest.raises(GraphDeadlineError):
        await ask(view, "MATCH (n) RETURN n", timeout_s=0)
