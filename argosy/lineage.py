"""Numbers that begin with the lineage: epochs of claims, and terms of leaders. Pure.

The upper half is the lineage under which one was given, the lower half counts. After a restore such a number is beyond
2^53, so whatever reads numbers as floats, as JavaScript and Prometheus do, would take its neighbours for the same one:
JSON has it as text, and metrics have its count.
"""

from typing import Final

_COUNT_BITS: Final = 32


def lineage_of(number: int) -> int:
    """Return the lineage under which an epoch or a term was given."""
    return number >> _COUNT_BITS


def count_of(number: int) -> int:
    """Return what an epoch or a term counts: one more with each claim, or each leader."""
    return number & ((1 << _COUNT_BITS) - 1)
