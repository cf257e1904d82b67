"""The contract between a stream and the source of its messages: one turn (turn_source.py), a session's turns one after
the other (session_source.py), or a job of ingest (gateway/ingest/job_source.py). A source knows what the client has,
what history has after that, and what an item from the owner adds; the stream decides when to read and when to wait.
"""

from collections.abc import AsyncIterator
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple, Protocol

from argosy.gateway.stream.message import Message
from argosy.gateway.stream.subscription import Target


class ReadReason(StrEnum):
    """Why history is read. The values are the labels of argosy_gateway_stream_reads."""

    BEGIN = "begin"
    SUBSCRIBED = "subscribed"  # an owner sends what happens from here on: what happened before is in Postgres
    ITEM = "heard"  # an item from the owner cannot be sent yet, or shows that history may have more
    POLL = "poll"  # no owner answers
    SILENCE = "silence"  # the owner sends nothing, and history may have something all the same


class Reading(NamedTuple):
    """A read of history that is due. lineage: of the claim or the item that is the reason; 0: neither has one."""

    reason: ReadReason
    lineage: int = 0


class Then(Enum):
    """What a stream does after an item."""

    GO_ON = "go on"
    READ = "read"  # read history
    READ_FIRST = "read first"  # read history, then give the same item to the source again


# What comes of an item: messages to send, and what to do then. A plain tuple: one is made for every frame.
Received = tuple[list[Message], Then]

READ_FIRST: Final[Received] = ([], Then.READ_FIRST)


class Source(Protocol):
    """The source of one stream. A stream calls `find`, then `begin`, then the others."""

    @property
    def target(self) -> Target | None:
        """What to follow at the owner. It is another object once that is something else. None: it has no owner, and
        history has everything.
        """
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        ...

    def resume(self) -> tuple[int, int]:
        """Return (attempt, n) of the last frame that the client has; n = 0: none."""
        ...

    async def find(self) -> bool:
        """Find what to send. True: subscribe at the owner now, so that it answers while history is read.

        Raises: Problem, StoreUnavailableError.
        """
        ...

    async def begin(self) -> bool:
        """Look for the first messages. False: the client has everything, and nothing more will come.

        Raises: Problem, StoreUnavailableError.
        """
        ...

    def read(self, reading: Reading) -> AsyncIterator[list[Message]]:
        """Yield messages of what history has more.

        Raises: Problem (what the client follows will never come), StoreUnavailableError, TimeoutError.
        """
        ...

    async def has_more(self) -> bool:
        """Whether history may have more: a cheap question, asked again and again while no owner answers, and at
        every fourth heartbeat.
        """
        ...

    def receive(self, item: Any, *, has_read: bool) -> Received:
        """Take an Item from an owner. has_read: history was read since it came."""
        ...
