"""A connection of one gateway process: the queue of items to it, in order and bounded, and its subscribers.

A gateway that does not read costs size_bytes_max, and one item for each subscriber. While the connection is full,
durable events become one Look for each subscriber, frames wait in their channels, and nothing is read from the gateway.
"""

import asyncio
import uuid
from typing import Any, Final

from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.stream.channel_update import Sent
from argosy.workers.dispatch.turn import Turn

_MESSAGE_SIZE_BYTES: Final = 262_144  # a message's own cost (it is signed) is small beside so much


class GatewayConnection:
    """The queue and the subscribers of one gateway process. subscribers: by id; held_back: those that wait for room."""

    __slots__ = ("_empty", "_items", "_news", "_room", "_size_bytes_max", "held_back", "size_bytes", "subscribers")

    def __init__(self, size_bytes_max: int) -> None:
        self._size_bytes_max = size_bytes_max
        self._items: list[tuple[Any, int]] = []
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.size_bytes = 0
        self.subscribers: dict[int, Subscriber] = {}
        self.held_back: set[Subscriber] = set()

    @property
    def is_full(self) -> bool:
        return self.size_bytes >= self._size_bytes_max

    def put(self, item: Any, size_bytes: int) -> None:
        """Queue an item. size_bytes: its encoded size."""
        self._items.append((item, size_bytes))
        self.size_bytes += size_bytes
        if self.size_bytes >= self._size_bytes_max:
            self._room.clear()
        self._news.set()
        self._empty.clear()

    def send(self, item: Any) -> None:
        """Queue an item that belongs to no subscription."""
        self.put(item, item.ByteSize())

    def take(self) -> list[Any]:
        """Take the oldest items, as many as one message holds: some 256 KiB, or a single larger item."""
        taken: list[Any] = []
        size_bytes = 0
        for item, item_size_bytes in self._items:
            if taken and size_bytes + item_size_bytes > _MESSAGE_SIZE_BYTES:
                break
            taken.append(item)
            size_bytes += item_size_bytes
        del self._items[: len(taken)]
        self.size_bytes -= size_bytes
        if not self._items:
            self._news.clear()
            self._empty.set()
        if not self.is_full:
            self._room.set()
        return taken

    def wake(self) -> None:
        """Make `has_news` return at once."""
        self._news.set()

    async def has_news(self, within_s: float) -> bool:
        """Wait until there is something to take, or until `wake`. False: neither came within_s seconds."""
        if self._items:
            return True
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return bool(self._items)
        return True

    async def until_empty(self) -> None:
        """Wait until everything was taken."""
        await self._empty.wait()

    async def until_room(self) -> None:
        """Wait until the connection is not full."""
        await self._room.wait()


class Subscriber:
    """The worker's end of one subscription: a turn or session that a gateway follows, and how much may be sent of it.

    target: the id of the turn or session; tenant: the tenant that it must be of. owned: the claim under which the
    subscription was taken; None: this process does not own the turn any more, but a step of it still runs here, and
    only frames are sent. credit_bytes: may be overdrawn by one item. resume: (attempt, n) of the last frame that the
    gateway's client had when it subscribed; n = 0: none. pending_look: a turn to which something durable happened that
    was not sent yet. turn, attempt: whose channels are sent; n: the number of the last frame; sent: what was sent of
    the channels.
    """

    __slots__ = (
        "attempt",
        "connection",
        "credit_bytes",
        "id",
        "is_ending_only",
        "is_session",
        "n",
        "owned",
        "pending_look",
        "resume",
        "sent",
        "target",
        "tenant",
        "turn",
    )

    def __init__(
        self,
        id: int,  # noqa: A002 — the word of the contract
        connection: GatewayConnection,
        *,
        target: uuid.UUID,
        tenant: str,
        is_session: bool = False,
        owned: Owned | None = None,
        is_ending_only: bool = False,
        credit_bytes: int = 0,
        resume: tuple[int, int] = (0, 0),
    ) -> None:
        self.id = id
        self.connection = connection
        self.target = target
        self.tenant = tenant
        self.is_session = is_session
        self.owned = owned
        self.is_ending_only = is_ending_only
        self.credit_bytes = credit_bytes
        self.resume = resume
        self.pending_look: uuid.UUID | None = None
        self.turn: Turn | None = None
        self.attempt = 0
        self.n = 0
        self.sent: Sent = ()

    @property
    def has_room(self) -> bool:
        return self.credit_bytes > 0 and not self.connection.is_full

    def follow(self, turn: Turn) -> None:
        """Send the channels of this turn from now on. Of a new turn or attempt nothing was sent yet."""
        before = self.turn
        if before is None or before.turn_id != turn.turn_id or self.attempt != turn.attempt:
            self.sent, self.n = (), 0
        self.turn, self.attempt = turn, turn.attempt

    def hold_back(self) -> None:
        """Note that there was no room: more is sent when credit comes, or when the connection has room again."""
        if self.connection.is_full:
            self.connection.held_back.add(self)

    def send(self, item: Any) -> None:
        size_bytes = item.ByteSize()
        self.credit_bytes -= size_bytes
        self.connection.put(item, size_bytes)
