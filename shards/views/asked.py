"""Runs one query on a look at the graph, and turns what the engine says into an answer or a fault."""

from collections.abc import Callable
from typing import Any, Final

import kglite
import msgspec

from argosy.shards.views.frames import Answered, Ask, Failed
from argosy.shards.views.mapping import answered, answered_text, hidden, hidden_name

_PROPERTIES_MAX: Final = 32  # of one query, that a label never had
_UNKNOWN: Final = "Schema error: Unknown property '"
_ID_OF: Final = "MATCH (n) WHERE elementId(n) = $number RETURN n.id"
_encode: Final = msgspec.msgpack.Encoder().encode

# What is called with a label and a property that its nodes lack; what is returned is a look at the graph that has it.
Teach = Callable[[str, str], kglite.KnowledgeGraph]


def answer(ask: Ask, graph: kglite.KnowledgeGraph, labels: frozenset[str], teach: Teach) -> Answered | Failed:
    """Return what a query comes to. The memory is filled in by who sends it."""
    try:
        return _answer(ask, graph, labels, teach)
    except kglite.CypherTimeoutError:
        return Failed(ask.number, "deadline", "")
    except (kglite.KgError, ValueError, TypeError, OverflowError, RecursionError) as error:
        line, column = getattr(error, "line", None) or 0, getattr(error, "col", None) or 0
        return Failed(ask.number, "cypher", _message(error), line, column)


def _answer(ask: Ask, graph: kglite.KnowledgeGraph, labels: frozenset[str], teach: Teach) -> Answered | Failed:
    params = {hidden_name(name): hidden(value) for name, value in ask.params.items()} | ask.labels
    result = _run(ask, graph, labels, teach, params)
    ids: dict[int, str] = {}

    def id_of(number: int) -> str:
        if number not in ids:
            found: Any = graph.cypher(_ID_OF, params={"number": str(number)})
            ids[number] = found.scalar()
        return ids[number]

    columns = list(result.columns)
    rows: list[list[Any]] = []
    size = 0
    total = result.diagnostics["total_rows"] or 0
    for row in result:
        values = [answered(row[column], id_of) for column in columns]
        size += len(_encode(values))
        if size > ask.size_bytes_max:
            if not rows:
                return Failed(ask.number, "size", f"the first row has more than {ask.size_bytes_max} bytes")
            return Answered(ask.number, 0, [answered_text(each) for each in columns], rows, is_cut=True)
        rows.append(values)
    return Answered(ask.number, 0, [answered_text(each) for each in columns], rows, is_cut=total > len(rows))


def _run(ask: Ask, graph: Any, labels: frozenset[str], teach: Teach, params: dict[str, Any]) -> Any:
    for _ in range(_PROPERTIES_MAX):
        try:
            return graph.cypher(
                ask.cypher,
                params=params,
                timeout_ms=ask.timeout_ms,
                row_limit=ask.row_limit,
                hide_structural_keys=True,
            )
        except kglite.SchemaError as error:
            if (unknown := _unknown_property(str(error), labels)) is None:
                raise
            graph = teach(*unknown)
    return graph.cypher(ask.cypher, params=params, timeout_ms=ask.timeout_ms, row_limit=ask.row_limit)


def _unknown_property(message: str, labels: frozenset[str]) -> tuple[str, str] | None:
    """Return the label and the property of which the engine says that no node of that label has it."""
    if message.startswith(_UNKNOWN):
        for label in labels:
            key, found, _ = message.removeprefix(_UNKNOWN).partition(f"' on {label}.")
            if found:
                return label, key
    return None


def _message(error: BaseException) -> str:
    """Return the first line of what the engine says, which is followed by a copy of the query."""
    first = str(error).partition("\n")[0]
    for prefix in ("Cypher syntax error", "Cypher execution error", "Schema error"):
        if first.startswith(prefix):
            first = first.partition(": ")[2] or first
    return answered_text(first)[:1_000]
