"""Pokes: signed hints to workers that something is due for them.

A poke is only a hint: when it is lost, the worker finds what is due at its next regular look. A poke is sent at once if
its worker was not poked within SPACING_S; otherwise it waits, and is sent in one message with those that come
meanwhile. One message per worker is in flight. `poke` never waits and never raises.

A worker may refuse a poke (another secret, another version, another worker at the address); then the poke is lost.

Bounds: one stream per worker, closed after IDLE_S without a poke; for each worker three sets of numbers and TURNS_MAX
turns may wait to be sent.
"""

import asyncio
import uuid
from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple, Protocol

from argosy.clock import Clock
from argosy.rpc.peer import Peer
from argosy.rpc.signed_call import Callee, CallError, SignedCall
from argosy.rpc.signing import SignatureError
from argosy.rpc.tls import Tls
from argosy.rpc.worker_pb2 import DESCRIPTOR, PokeRequest, SignalledTurn

POKE: Final = DESCRIPTOR.services_by_name["Worker"].methods_by_name["Poke"]
SPACING_S: Final = 0.004  # at most 250 messages a second per worker; the first after a pause is sent at once
FAILED_PAUSE_S: Final = 0.25  # a worker that is gone is called, and `then` told of it, no more often than this
TIMEOUT_S: Final = 1.0  # a worker answers within milliseconds; after about this time it looks by itself
IDLE_S: Final = 60.0  # a stream costs memory and a socket at both ends, and opening it again a few round trips
TURNS_MAX: Final = 64  # signalled turns beyond this are not named: among so many no single one is urgent
LAZY_S: Final = 0.01  # its worker was told before: this only lets more of such pokes share one message


class Hint(NamedTuple):
    """The content of a poke: buckets with new inbox rows, partitions of a Postgres log with new records, partitions
    that the sender has claimed, and turns (tenant, id) for which the sender is writing a signal at this moment.
    """

    inbox_buckets: frozenset[int] = frozenset()
    log_partitions: frozenset[int] = frozenset()
    claimed_partitions: frozenset[int] = frozenset()
    signalled_turns: frozenset[tuple[str, uuid.UUID]] = frozenset()


class _Pending:
    """The pokes that wait for one worker, and the task that sends them."""

    def __init__(self) -> None:
        self.inbox_buckets: set[int] = set()
        self.log_partitions: set[int] = set()
        self.claimed_partitions: set[int] = set()
        self.signalled_turns: set[tuple[str, uuid.UUID]] = set()
        self.news = asyncio.Event()
        self.lazy: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None

    def take(self) -> Hint:
        hint = Hint(
            frozenset(self.inbox_buckets),
            frozenset(self.log_partitions),
            frozenset(self.claimed_partitions),
            frozenset(self.signalled_turns),
        )
        self.inbox_buckets.clear()
        self.log_partitions.clear()
        self.claimed_partitions.clear()
        self.signalled_turns.clear()
        self.news.clear()
        if self.lazy is not None:
            self.lazy.cancel()
            self.lazy = None
        return hint

    def wake(self) -> None:
        self.lazy = None
        self.news.set()


class AfterFailure(Protocol):
    """What Poker tells."""

    def after_failure(self, callee: Callee, hint: Hint) -> None:
        """The hint did not reach this worker."""


class Poker:
    """Sends pokes to workers of one lane. It is used, and closed, on one event loop."""

    def __init__(
        self, key: bytes, lane: str, clock: Clock, then: AfterFailure | None = None, tls: Tls | None = None
    ) -> None:
        """key: Keys.calls. then: told of pokes that did not arrive."""
        self._key = key
        self._lane = lane
        self._clock = clock
        self._then = then
        self._tls = tls
        self._pending: dict[Callee, _Pending] = {}

    def poke(
        self,
        callee: Callee,
        inbox_buckets: Iterable[int] = (),
        log_partitions: Iterable[int] = (),
        claimed_partitions: Iterable[int] = (),
        signalled_turns: Iterable[tuple[str, uuid.UUID]] = (),
        *,
        is_urgent: bool = True,
    ) -> None:
        """Queue a poke for this worker. A poke that is not urgent is sent with the next urgent one, or after LAZY_S."""
        pending = self._pending.get(callee)
        if pending is None:
            pending = self._pending[callee] = _Pending()
            pending.task = asyncio.get_running_loop().create_task(self._deliver(callee, pending))
        pending.inbox_buckets.update(inbox_buckets)
        pending.log_partitions.update(log_partitions)
        pending.claimed_partitions.update(claimed_partitions)
        pending.signalled_turns.update(islice(signalled_turns, TURNS_MAX - len(pending.signalled_turns)))
        if is_urgent:
            pending.news.set()
        elif pending.lazy is None:
            pending.lazy = asyncio.get_running_loop().call_later(LAZY_S, pending.wake)

    async def close(self) -> None:
        """Close every channel. Pokes that still wait are dropped."""
        tasks = [pending.task for pending in self._pending.values() if pending.task]
        self._pending.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, callee: Callee, pending: _Pending) -> None:
        try:
            async with Peer(callee, self._key, tls=self._tls) as peer:
                call = None
                while await self._has_news(pending):
                    hint = pending.take()
                    call = await self._send(call, peer, hint)
                    if call is None and self._then is not None:
                        self._then.after_failure(callee, hint)
                    await self._clock.sleep(FAILED_PAUSE_S if call is None else SPACING_S)
        finally:
            if self._pending.get(callee) is pending:
                del self._pending[callee]

    async def _has_news(self, pending: _Pending) -> bool:
        """Wait until there is something to send; return False when there is nothing for IDLE_S."""
        try:
            async with asyncio.timeout(IDLE_S):
                await pending.news.wait()
        except TimeoutError:
            return pending.news.is_set() or pending.lazy is not None
        return True

    async def _send(self, call: SignedCall | None, peer: Peer, hint: Hint) -> SignedCall | None:
        """Send a hint, and return the call over which the worker acknowledged it, or None when it did not. That is the
        given call, or a new one when the given call had ended unnoticed: because the worker had ended, or had closed
        it.
        """
        request = PokeRequest(
            lane=self._lane,
            inbox_buckets=sorted(hint.inbox_buckets),
            log_partitions=sorted(hint.log_partitions),
            claimed_partitions=sorted(hint.claimed_partitions),
            signalled_turns=[
                SignalledTurn(turn_id=turn_id.bytes, tenant=tenant) for tenant, turn_id in sorted(hint.signalled_turns)
            ],
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if call is not None and await _is_heard(call, request):
                    return call
                call = await peer.open(POKE)
                if await _is_heard(call, request):
                    return call
        except CallError:
            return None
        except TimeoutError:
            pass
        if call is not None:
            call.cancel()
        return None


async def _is_heard(call: SignedCall, request: PokeRequest) -> bool:
    """Send the request and wait for the answer; return False when the call has ended."""
    try:
        await call.write(request)
        return await call.read() is not None
    except (CallError, SignatureError):
        return False
