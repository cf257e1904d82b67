"""Follows one turn or session for one client: keeps a subscription at the owner.

Items from the owner wait here until the client takes them. The credit that the worker was given bounds them, and the
worker gets credit again as the client takes. While no owner answers, `is_live` is False, and the stream reads Postgres.
The frames of a step that goes on at a former owner come from there, beside what the owner sends.

When a worker is lost, its items that wait here are dropped: they come again from the next worker or from Postgres, from
the last that the client has.
"""

import asyncio
import random
import uuid
from collections import deque
from typing import Any, Final, Protocol

from argosy.gateway.stream.connections import WorkerConnections
from argosy.gateway.stream.subscription import Subscription, Target
from argosy.rpc.signed_call import Callee
from argosy.store.catalog import Owner

_ENDING_CREDIT_BYTES: Final = 4_096  # an ending is sent without credit, too: no more than one item waits
_FORMER_MAX: Final = 8  # owners before this one that still run a step: hardly ever more than one
_PAUSE_S_MIN: Final = 0.02  # doubled each time: a new owner is mostly there within moments
_PAUSE_S_MAX: Final = 1.0  # meanwhile the stream reads Postgres
# A worker that has not answered in this time is given up: a living one sends each second that it lives.
_ANSWER_S: Final = 2.5


class Resumable(Protocol):
    """Whoever knows what the client has."""

    def resume(self) -> tuple[int, int]:
        """Return (attempt, n) of the last frame that the client has; n = 0: none."""


class Follower:
    """The follower of one target. client: where a subscription goes on from."""

    def __init__(self, connections: WorkerConnections, target: Target, client: Resumable) -> None:
        self._connections = connections
        self._target = target
        self._client = client
        self._items: deque[tuple[Subscription, Any]] = deque()
        self._taken: Subscription | None = None
        self._news = asyncio.Event()
        self._answer = asyncio.Event()
        # The subscription at the owner, and those at former owners where a step goes on.
        self._main: Subscription | None = None
        self._former: dict[Callee, Subscription] = {}
        self._task: asyncio.Task[None] | None = None
        self._asked: Owner | None = None
        self._left: Owner | None = None
        self.is_closed = False

    @property
    def is_live(self) -> bool:
        """Whether the owner has accepted the subscription, so that it sends whatever happens."""
        return self._main is not None and self._main.is_live

    def open(self) -> None:
        """Begin to look for the owner."""
        self._seek()

    def close(self) -> None:
        """End all subscriptions, and end `wait`."""
        self.is_closed = True
        if self._task is not None:
            self._task.cancel()
        for subscription in self._former.values():
            self._connections.unsubscribe(subscription)
        if self._main is not None:
            self._connections.unsubscribe(self._main)
        self._main, self._former = None, {}
        self._items.clear()
        self._news.set()

    def take(self) -> Any:
        """Return the next Item, or None when there is none now. The item taken before counts as done with.

        After an Item with `subscribed` nothing is missed, and what was before it is in Postgres. An item that was taken
        but not sent to the client yet must not be sent once has_taken is False.
        """
        self._settle()
        if not self._items:
            return None
        subscription, item = self._items.popleft()
        subscription.owed_bytes += item.ByteSize()
        self._taken = subscription
        return item

    @property
    def has_taken(self) -> bool:
        """Whether the item that was taken last is still valid: its worker has not been lost since."""
        return self._taken is not None

    async def wait(self, timeout_s: float) -> bool:
        """Wait for an item. True when there is one, or the follower was closed; False after timeout_s."""
        self._settle()
        if self._items or self.is_closed:
            return True
        self._news.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return bool(self._items)
        return True

    def _settle(self) -> None:
        """Give the worker credit for what was taken, once it is worth a message: a quarter of the credit."""
        subscription = self._taken
        if subscription is not None and subscription.owed_bytes * 4 >= subscription.credit_bytes:
            self._connections.give_credit(subscription, subscription.owed_bytes)
            subscription.owed_bytes = 0

    # What the connections call

    def receive(self, subscription: Subscription, item: Any) -> None:
        """See Receiver.receive."""
        what = item.WhichOneof("what")
        if what == "refused":
            self.lose(subscription)
        elif what == "moved":
            self._moved(subscription, item.moved.still_streams)
        elif what == "at":
            self._follow_former(Callee(uuid.UUID(bytes=item.at.worker_id), item.at.address))
        else:
            if what == "subscribed":
                subscription.is_live = True
                if subscription is not self._main:
                    return
                self._answer.set()
            self._items.append((subscription, item))
            self._news.set()

    def lose(self, subscription: Subscription) -> None:
        """See Receiver.lose."""
        self._items = deque(each for each in self._items if each[0] is not subscription)
        if subscription is self._taken:
            self._taken = None
        is_former = self._former.get(subscription.callee) is subscription
        self._leave(subscription)
        # The owner says only once where else a step goes on. A worker there that had answered is asked again; one that
        # had not is given up.
        if is_former and subscription.is_live:
            self._follow_former(subscription.callee)

    def _leave(self, subscription: Subscription) -> None:
        """End a subscription; the items that it brought already stay valid."""
        self._connections.unsubscribe(subscription)
        if self._former.get(subscription.callee) is subscription:
            del self._former[subscription.callee]
        if subscription is self._main:
            self._main = None
            self._answer.set()
            self._news.set()
            self._seek()

    def _moved(self, subscription: Subscription, still_streams: bool) -> None:
        if subscription is self._main:
            self._left = self._asked
        if not still_streams:
            self._leave(subscription)
        elif subscription is self._main:
            if before := self._former.get(subscription.callee):
                self._connections.unsubscribe(before)
            self._former[subscription.callee], self._main = subscription, None
            self._news.set()
            self._seek()

    def _follow_former(self, callee: Callee) -> None:
        """Subscribe to the frames of a step that goes on at another worker.

        For a session it may be a step of another session: the worker that runs it knows of which one.
        """
        if callee in self._former or len(self._former) >= _FORMER_MAX:
            return
        former = self._former[callee] = Subscription(
            self,
            self._target,
            callee,
            epoch=0,
            resume=self._client.resume(),
            credit_bytes=self._connections.credit_size_bytes,
            is_frames_only=True,
        )
        self._connections.subscribe(former)

    # Finding the owner

    def _seek(self) -> None:
        if not self.is_closed and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._find_owner())

    async def _find_owner(self) -> None:
        """Look until an owner answers.

        A worker that failed, or said that it is not the owner, is asked again only after Postgres was read.
        """
        pause_s = _PAUSE_S_MIN
        partition = self._target.partition
        owner, failed = self._connections.owner_of(partition), self._left
        while True:
            if owner is not None and owner != failed:
                if await self._subscribe(owner):
                    return
                failed = owner
            owner = await self._connections.owner_now(partition)
            if owner is None or owner == failed:
                await self._connections.clock.sleep(pause_s * (0.5 + random.random()))
                pause_s = min(pause_s * 2, _PAUSE_S_MAX)
                owner, failed = self._connections.owner_of(partition), None

    async def _subscribe(self, owner: Owner) -> bool:
        self._answer.clear()
        self._asked, self._left = owner, None
        self._main = subscription = Subscription(
            self,
            self._target,
            Callee(owner.worker_id, owner.address),
            epoch=owner.epoch,
            resume=self._client.resume(),
            credit_bytes=_ENDING_CREDIT_BYTES if self._target.is_ending_only else self._connections.credit_size_bytes,
        )
        self._connections.subscribe(subscription)
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._answer.wait()
        except TimeoutError:
            self._connections.unsubscribe(subscription)
            self._main = None
        return self.is_live
