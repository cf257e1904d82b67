"""Where a partition is read from, and whether the log still holds what is to be read of it. Pure."""

from argosy.log import Span


def where_to_read(position: int | None, span: Span) -> int:
    """Return the position of the first record to read: the partition's position, or where the log begins."""
    if position is None or not span.begin <= position <= span.end:
        return span.begin
    return position


def is_missing(position_before: int, position_now: int, span: Span) -> bool:
    """Whether the log does not hold the position of a partition that is being read. The log was asked between
    position_before and position_now.
    """
    return position_before > span.end or position_now < span.begin
