"""What of Cypher is let through to a view, decided before anything runs. Pure.

A query reads the graph and nothing else: clauses that write or read files are refused, and so are procedures beside
those listed below, of which kglite has some that write. What names a clause is told from a property, label, string
or comment of that text by its tokens. What a query costs cannot be told from its text (`reduce` that doubles a string,
three times MATCH (n), `[:K*]` where everything knows everything): those are stopped by the deadline and the memory
that a view may take. kglite is given a handle that cannot write, and no file that it could open, besides.
"""

from collections.abc import Collection, Sequence
from typing import Final

from argosy.errors import CypherError, GraphTooLargeError
from argosy.shards.view import CYPHER_SIZE_BYTES_MAX
from argosy.shards.views.tokens import Kind, Token, at, dotted, position_of, tokens_of

NESTING_MAX: Final = 200  # open brackets; kglite's parser takes 512 before it refuses, and its stack holds those

_FIRST: Final = frozenset(["CALL", "MATCH", "OPTIONAL", "RETURN", "UNWIND", "WITH"])
_REFUSED: Final = dict.fromkeys(
    ["ALTER", "CREATE", "DELETE", "DETACH", "DROP", "FOREACH", "INSERT", "MERGE", "NODETACH", "REMOVE", "SET"],
    "writes, and a query reads",
)
_REFUSED_PAIRS: Final = {
    ("LOAD", "CSV"): "reads files, and a query reads the graph",
    ("FORMAT", "CSV"): "is not offered: answers are rows",
}
_PROCEDURES: Final = frozenset(
    "betweenness closeness clustering_coefficient connected_components db.labels db.propertyKeys db.relationshipTypes"
    " degree diameter eccentricity k_core label_propagation leiden louvain pagerank triangle_count".lower().split()
)
_CLOSED_BY: Final = {")": "(", "]": "[", "}": "{"}


def check_size(cypher: str) -> None:
    """Raise GraphTooLargeError for a query that is too long to be looked at."""
    if (size := len(cypher.encode(errors="surrogatepass"))) > CYPHER_SIZE_BYTES_MAX:
        raise GraphTooLargeError(f"cypher: at most {CYPHER_SIZE_BYTES_MAX} bytes, not {size}")


def admit(cypher: str, params: Collection[str]) -> list[Token]:
    """Return the tokens of a query that may run. Raises CypherError. params: the names of its parameters."""
    tokens = tokens_of(cypher)
    code = [token for token in tokens if token.kind is not Kind.COMMENT]
    try:
        _check_shape(code)
        _check_clauses(code)
        _check_parameters(code, params)
    except _RefusedError as refused:
        raise CypherError(str(refused), position_of(cypher, refused.start)) from None
    return tokens


class _RefusedError(Exception):
    def __init__(self, message: str, token: Token | None) -> None:
        super().__init__(message)
        self.start = token.start if token else 0


def _check_shape(code: Sequence[Token]) -> None:
    if not code:
        raise _RefusedError("cypher is empty", None)
    if at(code, 0) not in _FIRST:
        raise _RefusedError(f"a query begins with {', '.join(sorted(_FIRST))}, not with {code[0].text[:40]}", code[0])
    depth = 0
    for index, token in enumerate(code):
        if token.kind is not Kind.SIGN:
            continue
        if token.text in "([{":
            depth += 1
            if depth > NESTING_MAX:
                raise _RefusedError(f"brackets are nested more than {NESTING_MAX} deep", token)
        elif token.text in _CLOSED_BY:
            depth -= 1
        elif token.text == ";" and index + 1 < len(code):
            raise _RefusedError("one query at a time: something follows ;", code[index + 1])


def _check_clauses(code: Sequence[Token]) -> None:
    for index, token in enumerate(code):
        if token.kind is not Kind.WORD:
            continue
        word = token.text.upper()
        following = at(code, index + 1)
        if _is_a_name(code, index):
            continue
        if reason := _REFUSED.get(word) or _REFUSED_PAIRS.get((word, following)):
            raise _RefusedError(f"{word} {reason}", token)
        if word == "CALL" and following not in ("{", "("):
            procedure, _ = dotted(code, index + 1)
            if procedure.lower() not in _PROCEDURES:
                raise _RefusedError(f"there is no procedure {procedure[:80]} for queries", token)


def _is_a_name(code: Sequence[Token], index: int) -> bool:
    """Return whether a word names something here: a property, label, type, parameter or key of a map."""
    before, after = at(code, index - 1), at(code, index + 1)
    return before in (".", ":", "$", "|", "&", "!") or (after == ":" and before in ("{", ","))


def _check_parameters(code: Sequence[Token], params: Collection[str]) -> None:
    for index, token in enumerate(code[1:], 1):
        if at(code, index - 1) == "$" and token.kind is not Kind.SIGN and token.name not in params:
            raise _RefusedError(f"parameter ${token.name[:80]} is missing", code[index - 1])
