"""What the calls of a shard's service have in common."""

from collections.abc import AsyncIterator
from typing import Any, Final

from argosy.errors import GraphInputError

_TELLING_S_MAX: Final = 0.2  # for an answer to reach its caller


def left_s_of(context: Any) -> float:
    """Return when the call has to be over: before its caller's deadline, so that the caller hears what became of it."""
    left_s: float | None = context.time_remaining()
    if left_s is None:
        raise GraphInputError("a call has a deadline")
    return left_s - min(_TELLING_S_MAX, left_s / 10)


async def first_of(requests: AsyncIterator[Any]) -> Any:
    """Return the first message of a stream."""
    async for request in requests:
        return request
    raise GraphInputError("the first message has the graph")
