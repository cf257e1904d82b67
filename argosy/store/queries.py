"""Loads named SQL statements. All of Argosy's SQL for Postgres is in argosy/store/*.sql, functions/ and migrations/."""

from collections.abc import Mapping

from argosy.statements import load_statements


def load_queries(name: str) -> Mapping[str, str]:
    """Return the statements of argosy/store/NAME.sql by name. Raises ValueError as `load_statements` does."""
    return load_statements("argosy.store", name)
