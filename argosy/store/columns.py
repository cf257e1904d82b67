"""Converts rows into the parallel arrays that the SQL functions take."""

from collections.abc import Sequence
from typing import Any

from argosy.store.parameters import Group


def columns(rows: Sequence[tuple[Any, ...]], group: Group) -> list[Sequence[Any]]:
    """Return one array for each column of the group; a column of NULLs only becomes an empty array.

    Empty means the same: unnest() of several arrays fills the shorter ones up with NULLs, and an element beyond an
    array's end is NULL. Each element costs the driver and the server time.
    """
    if not rows:
        return [()] * len(group)
    return [() if _is_nothing(each) else each for each in zip(*rows, strict=True)]


def _is_nothing(column: tuple[Any, ...]) -> bool:
    return column[0] is None and column.count(None) == len(column)
