"""Finds where in a query stands what a message of kglite names, when kglite does not say where. Pure.

It says where for what cannot be read, and not for names that it does not know, nor for functions that fail. They are
looked for among the tokens, so what a string or a comment says is never found:
- a variable at the last place where it may be used: it may well be known before (MATCH (n) WITH n.x AS x RETURN n);
- a function that there is not, a number that is too large, or a key, at the first place;
- a function or clause that fails, where it stands, if it stands there once: else it may be any of them.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from argosy.shards.views.tokens import Kind, Token, at, dotted

_NAMED: Final = re.compile(
    r"""Undefined\ variable\ '(?P<variable>[^']+)'
    |Unknown\ function:\ (?P<function>.+)
    |Invalid\ integer:\ (?P<number>\d+)
    |(?:.*(?:does\ not\ yield|unknown\ config\ key)|Unknown\ property)\ '(?P<key>[^']+)'
    |(?:CALL\ |Aggregate\ function\ ')?(?P<call>\w[\w.]*)(?:\(\)|'\ cannot)
    |(?P<clause>LIMIT|SKIP)\ requires""",
    re.VERBOSE,
)


def place_of(message: str, tokens: Sequence[Token]) -> int | None:
    """Return the index in the query of what a message names; None when that is nothing, or cannot be told."""
    named = _NAMED.match(message)
    if named is None or (what := named.lastgroup) is None:
        return None
    code = [token for token in tokens if token.kind is not Kind.COMMENT]
    is_it, name = _IS_IT[what], named[what]
    found = [token.start for index, token in enumerate(code) if is_it(code, index, name)]
    if not found or (what in ("call", "clause") and len(found) > 1):
        return None
    return found[-1 if what == "variable" else 0]


def _is_variable(code: Sequence[Token], index: int, name: str) -> bool:
    """Return whether a variable may be used here: it is no key, property, label, parameter, function or new name."""
    if not _is_name(code, index, name):
        return False
    before, after = at(code, index - 1), at(code, index + 1)
    is_property = before == "." and at(code, index - 2) != "."  # and not the end of a slice: list[1..n]
    is_key = after == ":" and before in ("{", ",")
    return not (is_property or is_key or before in (":", "$", "AS") or after == "(")


def _is_call(code: Sequence[Token], index: int, name: str) -> bool:
    if not code[index].is_name or at(code, index - 1) == ".":
        return False
    called, behind = dotted(code, index)
    return at(code, behind) == "(" and called.lower() == name.lower()


def _is_number(code: Sequence[Token], index: int, name: str) -> bool:
    return code[index].kind is Kind.NUMBER and code[index].text == name


def _is_name(code: Sequence[Token], index: int, name: str) -> bool:
    return code[index].is_name and code[index].name == name


def _is_clause(code: Sequence[Token], index: int, name: str) -> bool:
    return code[index].kind is Kind.WORD and at(code, index) == name


_IS_IT: Final[dict[str, Callable[[Sequence[Token], int, str], bool]]] = {
    "variable": _is_variable,
    "function": _is_call,
    "number": _is_number,
    "key": _is_name,
    "call": _is_call,
    "clause": _is_clause,
}
