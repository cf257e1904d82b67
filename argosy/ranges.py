"""Ranges of whole numbers, such as the partitions of a worker or the buckets of a query."""

from collections.abc import Iterable


def in_ranges(numbers: Iterable[int]) -> str:
    """Return sorted numbers as text, consecutive ones as a range: "0-5, 8"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same numbers in as few ranges (both ends inclusive) as possible, in order."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found
