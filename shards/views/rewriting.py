"""Writes a query anew for kglite: with the names that `mapping.py` gives, and labels that it takes. Pure.

- A key that kglite would understand in its own way is replaced where it stands as a key: n.name, {name: 1},
  n {.name}, n["name"], "name" IN keys(n). A parameter that stands there, n[$key], $key IN keys(n), is given as a key.
  What else is compared with the keys of keys(n) is not seen through: those are kglite's. Nor is n[x] of another text
  than one of keys(n). It is not refused: from list[x] and map[x] it differs only when the query runs.
- A name that is not plain (`total cost`, 日本) is replaced wherever it stands.
- A label or type that is not plain becomes a parameter, which kglite takes as any text.
- A comment becomes spaces: kglite knows one kind only.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from argosy.shards.views.mapping import MARK, hidden_key, hidden_name, hidden_param, is_plain
from argosy.shards.views.tokens import Kind, Token, at, position_of, start_of

_BEFORE_A_LIST: Final = frozenset(
    [
        "AND",
        "BY",
        "CASE",
        "DISTINCT",
        "ELSE",
        "IN",
        "NOT",
        "OR",
        "RETURN",
        "THEN",
        "UNWIND",
        "WHEN",
        "WHERE",
        "WITH",
        "XOR",
    ]
)
_BEFORE_A_SUBQUERY: Final = ("CALL", "COLLECT", "COUNT", "EXISTS")
_PROJECTION: Final = "n {"
_BEFORE_A_VALUE: Final = _BEFORE_A_LIST | {"(", "[", ",", "|", ":"}  # which begins there, as no part of another one


class _Piece(NamedTuple):
    """What stands in the text for the characters start … end of the query."""

    start: int
    end: int
    text: str


class Rewritten:
    """A query as kglite gets it: its text, and the labels that are parameters of it. keys: its parameters that stand
    for keys, by their names in the text.
    """

    def __init__(self, cypher: str, tokens: Sequence[Token]) -> None:
        self._cypher = cypher
        self.labels: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self._starts = [(0, 0)]  # where in the text and in the query the same thing begins
        parts: list[str] = []
        done = length = 0
        for start, end, text in sorted(self._pieces(tokens)):
            parts += (cypher[done:start], text)
            length += start - done
            self._starts.append((length, start))
            length += len(text)
            self._starts.append((length, end))
            done = end
        self.text = "".join((*parts, cypher[done:]))

    def position(self, line: int, column: int) -> tuple[int, int]:
        """Return the line and column in the query of what is at a line and a column of the text."""
        start = start_of(self.text, line, column)
        in_text, in_query = max(each for each in self._starts if each[0] <= start)
        return position_of(self._cypher, min(in_query + start - in_text, len(self._cypher)))

    def _pieces(self, tokens: Sequence[Token]) -> list[_Piece]:
        code = [token for token in tokens if token.kind is not Kind.COMMENT]
        pieces = [
            _Piece(token.start, token.end, re.sub(r"[^\n]", " ", token.text))
            for token in tokens
            if token.kind is Kind.COMMENT
        ]
        brackets = [""]
        is_label = False  # whether a name here is a label or a type, as in :A|B
        for index, token in enumerate(code):
            if token.kind is not Kind.SIGN:
                if (text := self._text_of(code, index, brackets[-1], is_label)) != token.text:
                    pieces.append(_Piece(token.start, token.end, text))
                is_label = is_label and at(code, index + 1) in ("|", "&")
            elif token.text == ":":
                is_label = not (brackets[-1] in ("{", _PROJECTION) and at(code, index - 2) in ("{", ","))
            elif token.text in "([{":
                brackets.append(_PROJECTION if _is_projection(code, index) else token.text)
            elif token.text in ")]}" and len(brackets) > 1:
                brackets.pop()
            is_label = is_label and token.text not in ("(", ")", "[", "]", "{", "}")
        return pieces

    def _text_of(self, code: Sequence[Token], index: int, bracket: str, is_label: bool) -> str:
        token, before, after = code[index], at(code, index - 1), at(code, index + 1)
        if token.kind is Kind.STRING:
            is_key = _stands_as_key(code, index, index) and "\\" not in token.text
            return token.text[0] + hidden_key(token.text[1:-1]) + token.text[0] if is_key else token.text
        if before == "$" and _stands_as_key(code, index - 1, index):
            return self._key(token.name)
        if before == "$" and token.kind is Kind.NUMBER:
            return hidden_name(token.text)
        if not token.is_name:
            return token.text
        if is_label and before != "$":
            return token.text if is_plain(token.name) else self._label(token.name)
        key = hidden_key(token.name)
        is_access = before == "." and at(code, index - 2) != "." and after != "("
        is_in_map = bracket in ("{", _PROJECTION) and before in ("{", ",")
        if is_access or (is_in_map and after == ":"):
            return token.text if key == token.name else key
        name = token.text if is_plain(token.name) else hidden_name(token.name)
        if bracket == _PROJECTION and is_in_map and after in ("}", ",") and key != token.name:
            return f"{key}: {name}"
        return name

    def _label(self, label: str) -> str:
        name = f"l{len(self.labels)}{MARK}"
        self.labels[name] = label
        return f"${name}"

    def _key(self, param: str) -> str:
        name = hidden_param(param)
        self.keys[name] = param
        return name


def _is_projection(code: Sequence[Token], index: int) -> bool:
    """Return whether a brace follows a name: as in n {.name, age}, or in (n:Person {name: "Ada"})."""
    is_after_name = at(code, index) == "{" and index > 0 and code[index - 1].is_name
    return is_after_name and at(code, index - 1) not in _BEFORE_A_SUBQUERY


def _stands_as_key(code: Sequence[Token], start: int, end: int) -> bool:
    """Return whether these tokens, from the first to the last, are taken for a key: n["name"], $k IN keys(n)."""
    if at(code, start - 1) == "[" and at(code, end + 1) == "]" and _is_subscript(code, start - 1):
        return True
    is_sought = (at(code, end + 1), at(code, end + 2), at(code, end + 3)) == ("IN", "KEYS", "(")
    return is_sought and at(code, start - 1) in _BEFORE_A_VALUE


def _is_subscript(code: Sequence[Token], index: int) -> bool:
    """Return whether a bracket takes a part of what stands before it, and does not begin a list."""
    if index == 0:
        return False
    before = code[index - 1]
    return before.text in (")", "]", "}") or (before.is_name and before.text.upper() not in _BEFORE_A_LIST)
