"""Named SQL statements. All SQL of Argosy stands in argosy/store/*.sql and in the migrations, nowhere else.

A file holds statements, each begun by `-- name: verb_noun`. A file is read once per process.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

_NAME = re.compile(r"^-- name: *(.*?) *$", re.MULTILINE)


@cache
def load_queries(name: str) -> Mapping[str, str]:
    """The statements of argosy/store/NAME.sql by their names. ValueError: a name is bad, or there twice."""
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
