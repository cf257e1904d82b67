"""Converts rows into the parallel arrays that the SQL functions take."""

from collections.abc import Sequence
from typing import Any


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Return one array for each of `width` columns; a column of NULLs only becomes an empty array.

    Empty means the same: unnest() of several arrays fills the shorter ones up with NULLs, and an element beyond an
    array's end is NULL. Each element costs the driver and the server time.
    """
    if not rows:
        return [()] * width
    return [() if _is_nothing(each) else each for each in zip(*rows, strict=True)]


def _is_nothing(column: tuple[Any, ...]) -> bool:
    return column[0] is None and column.count(None) == len(column)
