"""Runs one query on a look at the graph: refuses it or writes it anew, and answers in the caller's names.

What is done with the text of a query is done here, in the child: a long one takes 0.2 s, in which a shard would stand
still.
"""

from collections.abc import Callable
from typing import Any, Final

import kglite
import msgspec

from argosy.errors import CypherError
from argosy.shards.views.admission import admit
from argosy.shards.views.frames import Answered, Ask, Failed
from argosy.shards.views.mapping import answered, answered_text, hidden, hidden_key, hidden_name
from argosy.shards.views.places import place_of
from argosy.shards.views.rewriting import Rewritten
from argosy.shards.views.tokens import position_of

_PROPERTIES_MAX: Final = 32  # of one query, that a label never had
_UNKNOWN: Final = "Schema error: Unknown property '"
_ID_OF: Final = "MATCH (n) WHERE elementId(n) = $number RETURN n.id"
_encode: Final = msgspec.msgpack.Encoder().encode

# What is called with a label and a property that its nodes lack; what is returned is a look at the graph that has it.
Teach = Callable[[str, str], kglite.KnowledgeGraph]


def answer(ask: Ask, graph: kglite.KnowledgeGraph, labels: frozenset[str], teach: Teach) -> Answered | Failed:
    """Return what a query comes to. The memory is filled in by its sender."""
    try:
        tokens = admit(ask.cypher, ask.params)
        query = Rewritten(ask.cypher, tokens)
    except CypherError as error:
        return Failed(ask.number, "cypher", error.message, *(error.position or ()))
    try:
        return _answered(ask, graph, _run(ask, query, graph, labels, teach))
    except kglite.CypherTimeoutError:
        return Failed(ask.number, "deadline", "")
    except (kglite.KgError, ValueError, TypeError, OverflowError, RecursionError) as error:
        message = _message(error)
        if line := getattr(error, "line", None):
            position = query.position(line, max(1, getattr(error, "col", None) or 1))
        elif (start := place_of(message, tokens)) is not None:
            position = position_of(ask.cypher, start)
        else:
            return Failed(ask.number, "cypher", message)
        return Failed(ask.number, "cypher", message, *position)


def _run(ask: Ask, query: Rewritten, graph: Any, labels: frozenset[str], teach: Teach) -> Any:
    params = {hidden_name(name): hidden(value) for name, value in ask.params.items()} | query.labels
    params |= {name: _key_of(ask.params[param]) for name, param in query.keys.items()}
    for tries_left in range(_PROPERTIES_MAX, -1, -1):
        try:
            return graph.cypher(
                query.text,
                params=params,
                timeout_ms=ask.timeout_ms,
                row_limit=ask.row_limit,
                hide_structural_keys=True,
            )
        except kglite.SchemaError as error:
            if (unknown := _unknown_property(str(error), labels)) is None or not tries_left:
                raise
            graph = teach(*unknown)
    return None


def _key_of(value: Any) -> Any:
    return hidden_key(value) if isinstance(value, str) else hidden(value)


def _answered(ask: Ask, graph: kglite.KnowledgeGraph, result: Any) -> Answered | Failed:
    """Return as many rows of a result as the bounds let through."""
    ids: dict[int, str] = {}

    def id_of(number: int) -> str:
        if number not in ids:
            found: Any = graph.cypher(_ID_OF, params={"number": str(number)})
            ids[number] = found.scalar()
        return ids[number]

    columns = list(result.columns)
    rows: list[list[Any]] = []
    size = 0
    is_cut = (result.diagnostics["total_rows"] or 0) > len(result)
    for row in result:
        values = [answered(row[column], id_of) for column in columns]
        size += len(_encode(values))
        if size > ask.size_bytes_max:
            if not rows:
                return Failed(ask.number, "size", f"the first row has more than {ask.size_bytes_max} bytes")
            is_cut = True
            break
        rows.append(values)
    return Answered(ask.number, 0, [answered_text(each) for each in columns], rows, is_cut)


def _unknown_property(message: str, labels: frozenset[str]) -> tuple[str, str] | None:
    """Return the label and the property of which kglite says that no node of that label has it."""
    if message.startswith(_UNKNOWN):
        for label in labels:
            key, found, _ = message.removeprefix(_UNKNOWN).partition(f"' on {label}.")
            if found:
                return label, key
    return None


def _message(error: BaseException) -> str:
    """Return the first line of what kglite says, which is followed by a copy of the query."""
    first = str(error).partition("\n")[0]
    if first.startswith(("Cypher syntax error", "Cypher execution error", "Schema error")):
        first = first.partition(": ")[2] or first
    return answered_text(first)[:1_000]
