"""Rows as the parallel arrays that the SQL functions take."""

from collections.abc import Sequence
from typing import Any


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """An array for each of so many columns. One that is all NULL is empty: unnest() of several arrays fills the shorter
    ones up with NULLs, and a place behind an array's end is NULL; and each element costs the driver and the server.
    """
    if not rows:
        return [()] * width
    return [() if _is_nothing(each) else each for each in zip(*rows, strict=True)]


def _is_nothing(column: tuple[Any, ...]) -> bool:
    return column[0] is None and column.count(None) == len(column)
