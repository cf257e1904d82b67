"""Cuts a query into tokens, so that a word in a string, a comment or backticks is not taken for a clause. Pure."""

import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

from argosy.errors import CypherError


class Kind(Enum):
    WORD = auto()  # a keyword or a name
    QUOTED = auto()  # a name in backticks
    STRING = auto()
    NUMBER = auto()
    COMMENT = auto()
    SIGN = auto()


class Token(NamedTuple):
    """A token of a query. text: as it stands in the query, from `start` on."""

    kind: Kind
    text: str
    start: int

    @property
    def name(self) -> str:
        """Return what a name means, without its backticks."""
        return self.text[1:-1].replace("``", "`") if self.kind is Kind.QUOTED else self.text

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def is_name(self) -> bool:
        return self.kind is Kind.WORD or self.kind is Kind.QUOTED


# Each ends where kglite's own token ends. What is opened and not closed matches nothing here: the last line.
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<COMMENT>//[^\n]*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)
    |(?P<STRING>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<QUOTED>`(?:[^`]|``)*`)
    |(?P<NUMBER>\d\w*(?:\.\d\w*)?)
    |(?P<WORD>[^\W\d]\w*)
    |(?P<open>['"`]|/\*)
    |(?P<SIGN>.)""",
    re.VERBOSE | re.DOTALL,
)


def tokens_of(cypher: str) -> list[Token]:
    """Return the tokens of a query, comments among them. Raises CypherError for what is opened and never closed."""
    tokens = []
    for match in _TOKEN.finditer(cypher):
        kind = match.lastgroup
        if kind == "open":
            raise CypherError(f"{match[0]} is opened here and never closed", position_of(cypher, match.start()))
        if kind != "space":
            tokens.append(Token(Kind[kind or "SIGN"], match[0], match.start()))
    return tokens


def position_of(cypher: str, start: int) -> tuple[int, int]:
    """Return the line and the column of a character, both from 1."""
    return cypher.count("\n", 0, start) + 1, start - cypher.rfind("\n", 0, start)


def start_of(cypher: str, line: int, column: int) -> int:
    """Return the index of the character at a line and a column, at most the length of the text."""
    start = 0
    for _ in range(line - 1):
        start = cypher.find("\n", start) + 1
    return min(start + column - 1, len(cypher))


def at(tokens: Sequence[Token], index: int) -> str:
    """Return the text of a token in upper case; of one that is not there, nothing."""
    return tokens[index].text.upper() if 0 <= index < len(tokens) else ""


def dotted(tokens: Sequence[Token], index: int) -> tuple[str, int]:
    """Return the name that begins at a token, with the parts behind its dots, and the index of what follows it."""
    name = tokens[index].name if index < len(tokens) else ""
    while at(tokens, index + 1) == "." and index + 2 < len(tokens):
        index += 2
        name += f".{tokens[index].name}"
    return name, index + 1
