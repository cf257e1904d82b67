"""Partitions as people write them."""

from collections.abc import Iterable


def in_ranges(numbers: Iterable[int]) -> str:
    """Sorted numbers, those in a row as one range: "0-5, 8"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
