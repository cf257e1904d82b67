"""What every transport refuses: operations that break a rule, and questions and answers that are too large."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import msgspec
import pytest

from argosy.errors import (
    GraphInputError,
    GraphTooLargeError,
)
from argosy.graph.facts import TYPES_MAX, GraphRef
from argosy.graph.ops import NESTING_MAX, OPS_MAX, PROPS_SIZE_BYTES_MAX, VECTORS_MAX, Op, UpsertNode
from argosy.graph.transport import Transport
from tests.shards.engines import knows, person
from tests.shards.shards import S, apply, ids_of
from tests.shards.transports import *  # noqa: F403


def nested(depth: int) -> list[Any]:
    """Return a list that is nested so deep."""
    return reduce(lambda inner, _: [inner], range(depth - 1), list[Any]())


def malformed() -> Iterator[tuple[str, list[Op]]]:
    yield "no operation", []
    yield "no number", [person("ada", n=float("nan"))]
    yield "more than 64 bits", [person("ada", n=2**63)]
    yield "no name", [person("")]
    yield "too large", [person("ada", text="x" * 1_048_577)]
    yield "too deep", [person("ada", deep=nested(NESTING_MAX))]
    yield "in a large batch", [*(person(str(number)) for number in range(100)), person("ada", n=2**63)]


@pytest.mark.parametrize("ops", [pytest.param(ops, id=what) for what, ops in malformed()])
async def test_operations_that_break_a_rule_are_refused(transport: Transport, there: GraphRef, ops: list[Op]) -> None:
    with pytest.raises(GraphInputError):
        await apply(transport, there, *ops)
    assert await ids_of(transport, there) == []


async def test_what_is_nested_has_a_bound(transport: Transport, there: GraphRef) -> None:
    deepest = {"deep": nested(NESTING_MAX - 1)}
    await apply(transport, there, person("ada", **deepest))
    answer = await transport.query(there, "RETURN $deep", deepest, row_limit=1, deadline_s=S)

    (ada,) = await transport.get_nodes(there, ["ada"], deadline_s=S)
    assert ada
    assert msgspec.json.decode(ada.props) == deepest
    assert len(answer.rows) == 1
    with pytest.raises(GraphInputError, match=f"nested deeper than {NESTING_MAX}"):
        await transport.query(there, "RETURN $deep", {"deep": nested(NESTING_MAX)}, row_limit=1, deadline_s=S)


async def test_what_is_asked_for_has_bounds(transport: Transport, there: GraphRef) -> None:
    with pytest.raises(GraphTooLargeError, match="1000"):
        await transport.get_nodes(there, ["x"] * 1_001, deadline_s=S)
    with pytest.raises(GraphTooLargeError, match="1000"):
        await transport.scan(there, limit=1_001, deadline_s=S)
    with pytest.raises(GraphInputError):
        await transport.scan(there, limit=0, deadline_s=S)
    with pytest.raises(GraphInputError):
        await transport.neighbors(there, ["x"], depth=99, limit=1, deadline_s=S)
    for cypher, params in (("RETURN 1 //" + "x" * 65_536, {}), ("RETURN $x", {"x": "y" * 65_536})):
        with pytest.raises(GraphTooLargeError, match="at most 65536 bytes"):
            await transport.query(there, cypher, params, row_limit=1, deadline_s=S)
    types = [str(number) for number in range(TYPES_MAX + 1)]
    await transport.neighbors(there, ["x"], types=types[1:], limit=1, deadline_s=S)
    with pytest.raises(GraphTooLargeError, match=f"types: at most {TYPES_MAX}, not {TYPES_MAX + 1}"):
        await transport.neighbors(there, ["x"], types=types, limit=1, deadline_s=S)


async def test_what_is_written_has_bounds(transport: Transport, there: GraphRef) -> None:
    many = [person("ada")] * (OPS_MAX + 1)
    large = person("ada", text="x" * PROPS_SIZE_BYTES_MAX)
    vectors = UpsertNode("ada", "Person", vectors={f"v{number}": [1.0] for number in range(VECTORS_MAX + 1)})

    for ops in (many, [large], [vectors]):
        with pytest.raises(GraphTooLargeError):
            await apply(transport, there, *ops)
    for nothing in (transport.get_nodes(there, [], deadline_s=S), apply(transport, there)):
        with pytest.raises(GraphInputError) as raised:
            await nothing
        assert not isinstance(raised.value, GraphTooLargeError)


async def test_an_answer_has_a_bound(transport: Transport, there: GraphRef) -> None:
    ids = [str(number) for number in range(5)]
    for node_id in ids:
        await apply(transport, there, person(node_id, text="x" * 300_000))
    await apply(transport, there, *(knows("0", node_id) for node_id in ids[1:]))

    with pytest.raises(GraphTooLargeError):
        await transport.get_nodes(there, ids, deadline_s=S)
    with pytest.raises(GraphTooLargeError):
        await transport.scan(there, limit=5, deadline_s=S)
    around = await transport.neighbors(there, ["0"], limit=10, deadline_s=S)
    assert around.is_cut
    assert [node.id for node in around.nodes] == ["0", "1", "2"]
    assert {edge.dst for edge in around.edges} == {"1", "2"}
    assert len(await transport.get_nodes(there, ids[:3], deadline_s=S)) == 3
