"""Loads named SQL statements from the .sql files of a package. Each begins with `-- name: verb_noun`."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

_NAME = re.compile(r"^-- name: *(.*?) *$", re.MULTILINE)


@cache
def load_statements(package: str, name: str) -> Mapping[str, str]:
    """Return the statements of a package's NAME.sql by name. A file is read once per process.

    Raises ValueError when a name is bad or occurs twice, or when a statement is empty.
    """
    text = resources.files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
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
