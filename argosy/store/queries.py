"""Loads named SQL statements. All SQL of Argosy is in argosy/store/*.sql, functions/ and migrations/, nowhere else.

Each statement in a file begins with `-- name: verb_noun`. A file is read once per process.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

_NAME = re.compile(r"^-- name: *(.*?) *$", re.MULTILINE)


@cache
def load_queries(name: str) -> Mapping[str, str]:
    """Return the statements of argosy/store/NAME.sql by name.

    Raises ValueError when a name is bad or occurs twice, or when a statement is empty.
    """
    text = resources.files("argosy.store").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    statements: dict[str, str] = {}
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", title):
            raise ValueError(f"{name}.sql: {title!r} is not a name for a statement")
        if title in statements:
            raise ValueError(f"{name}.sql: {title} is there twice")
        if not body.strip():
            raise ValueError(f"{name}.sql: {title} has no statement")
        statements[title] = body.strip()
    return MappingProxyType(statements)
