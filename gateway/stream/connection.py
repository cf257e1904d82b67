"""One gRPC stream to one worker, for all clients of this process that follow something there.

A connection hands every item on at once: the items of a client that does not take them are bounded by its own credit,
and hold up no other client. A connection gives up a worker that sends nothing for SILENT_S: a living worker sends
something each second, so this one was stopped, or its host is gone. It also gives up a stream with a message that the
worker did not sign. The followers then read Postgres, and find the owner again.
"""

import asyncio
from typing import Any, Final, Protocol

from argosy.clock import Clock
from argosy.gateway.stream.subscription import Subscription
from argosy.rounds import Rounds
from argosy.rpc.peer import Peer
from argosy.rpc.signed_call import Callee, CallError, SignedCall
from argosy.rpc.signing import SignatureError
from argosy.rpc.tls import Tls
from argosy.rpc.watch_pb2 import DESCRIPTOR, Credit, Subscribe, WatchRequest

WATCH: Final = DESCRIPTOR.services_by_name["Watch"].methods_by_name["Watch"]
SILENT_S: Final = 2.5  # two of a worker's seconds, and some
IDLE_S: Final = 60.0  # to open one takes a handshake, and clients come back
# Subscriptions in one message; a worker refuses messages above 1 MiB.
_MESSAGE_SUBSCRIPTIONS_MAX: Final = 1_000
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 33_554_432),
    # A new worker at the same address is called at once, not after the pause that gRPC makes for its predecessor.
    ("grpc.use_local_subchannel_pool", 1),
)


class AfterConnection(Protocol):
    """Told by a WorkerConnection what happened to it."""

    def after_connection(self, connection: "WorkerConnection") -> None:
        """The connection is over."""


class WorkerConnection:
    """Open from the first subscription until there has been none for IDLE_S, or the worker is gone; then is_over.

    then: told of the end, once. A connection that is over is never opened again.
    """

    def __init__(self, callee: Callee, key: bytes, clock: Clock, then: AfterConnection, tls: Tls | None = None) -> None:
        self.callee = callee
        self.is_over = False
        self._key = key
        self._tls = tls
        self._clock = clock
        self._rounds = Rounds("worker connection", clock)
        self._then = then
        self._next_id = 0
        self._subscriptions: dict[int, Subscription] = {}
        self._new: list[Subscription] = []
        self._credit: dict[int, int] = {}
        self._gone: list[int] = []
        self._news = asyncio.Event()
        self._idle_since_s: float | None = clock.monotonic_s()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"connection to {callee.address}")

    def subscribe(self, subscription: Subscription) -> None:
        """Ask the worker for a subscription. Its receiver gets the worker's answer and items, or loses it."""
        self._next_id += 1
        subscription.id = self._next_id
        self._subscriptions[subscription.id] = subscription
        self._new.append(subscription)
        self._idle_since_s = None
        self._news.set()

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription: its receiver gets nothing more."""
        if self._subscriptions.pop(subscription.id, None) is None:
            return
        if subscription in self._new:
            self._new.remove(subscription)
        else:
            self._gone.append(subscription.id)
        self._credit.pop(subscription.id, None)
        if not self._subscriptions:
            self._idle_since_s = self._clock.monotonic_s()
        self._news.set()

    def give_credit(self, subscription: Subscription, size_bytes: int) -> None:
        """Give the worker credit for what the client took."""
        if subscription.id in self._subscriptions:
            self._credit[subscription.id] = self._credit.get(subscription.id, 0) + size_bytes
            self._news.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            async with Peer(self.callee, self._key, _OPTIONS, self._tls) as peer:
                async with asyncio.timeout(SILENT_S):
                    call = await peer.open(WATCH)
                writing = asyncio.get_running_loop().create_task(self._write(call))
                try:
                    await self._read(call)
                finally:
                    writing.cancel()
                    call.cancel()
                    await asyncio.gather(writing, return_exceptions=True)
        except (CallError, SignatureError, TimeoutError):
            pass  # the followers find the owner again
        except Exception as error:
            self._rounds.say(error, worker=self.callee.address)
        finally:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        self._then.after_connection(self)
        lost = list(self._subscriptions.values())
        self._subscriptions.clear()
        for subscription in lost:
            with self._rounds.outlive(worker=self.callee.address):
                subscription.receiver.lose(subscription)

    async def _read(self, call: SignedCall) -> None:
        while not self._is_idle():
            async with asyncio.timeout(SILENT_S):
                response = await call.read()
            if response is None:
                return
            for item in response.items:
                subscription = self._subscriptions.get(item.subscription)
                if subscription is not None:
                    with self._rounds.outlive(worker=self.callee.address):
                        subscription.receiver.receive(subscription, item)

    def _is_idle(self) -> bool:
        since_s = self._idle_since_s
        return since_s is not None and self._clock.monotonic_s() - since_s > IDLE_S

    async def _write(self, call: SignedCall) -> None:
        """Send requests. The first goes out at once: a worker ends a stream on which the caller sends nothing."""
        try:
            while True:
                await call.write(self._take())
                await self._news.wait()
        except CallError:
            call.cancel()  # the reader ends, and with it the connection
        except Exception as error:
            self._rounds.say(error, worker=self.callee.address)
            call.cancel()

    def _take(self) -> Any:
        new, self._new = self._new[:_MESSAGE_SUBSCRIPTIONS_MAX], self._new[_MESSAGE_SUBSCRIPTIONS_MAX:]
        waiting = {subscription.id for subscription in self._new}
        message = WatchRequest(
            subscribe=[_subscribe(each) for each in new],
            credit=[Credit(subscription=id_, bytes=size) for id_, size in self._credit.items() if id_ not in waiting],
            unsubscribe=self._gone,
        )
        self._credit.clear()
        self._gone.clear()
        if not self._new:
            self._news.clear()
        return message


def _subscribe(each: Subscription) -> Any:
    target = each.target
    attempt, n = each.resume
    return Subscribe(
        subscription=each.id,
        turn_id=target.turn_id.bytes if target.turn_id else b"",
        session_id=target.session_id.bytes if target.session_id else b"",
        partition=target.partition,
        tenant=target.tenant,
        epoch=each.epoch,
        attempt=attempt,
        n=n,
        ending_only=target.is_ending_only,
        frames_only=each.is_frames_only,
        credit_bytes=each.credit_bytes,
    )
