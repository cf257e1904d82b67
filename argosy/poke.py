"""Pokes: signed hints to workers that something is due for them.

A poke is a hint and nothing more. It is sent at once when its worker has not been poked for SPACING_S, together with
what came meanwhile otherwise; one call per worker is in flight; a lost one costs the worker's poll interval. `poke`
never waits and never raises.

Bounds: one channel per address, closed after IDLE_S without a poke; what waits for an address is three sets of numbers
and TURN_IDS_MAX ids.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio

from argosy.clock import Clock
from argosy.rpc import worker_pb2
from argosy.signing import sign

METHOD: Final = "/argosy.rpc.Worker/Poke"
SPACING_S: Final = 0.004  # 250 calls a second per worker at the most, and no one waits that long for the first
FAILED_PAUSE_S: Final = 0.25  # a worker that is gone is not asked more often, and its failures not told
TIMEOUT_S: Final = 1.0
IDLE_S: Final = 60.0
TURN_IDS_MAX: Final = 64  # they save their reader a query; what comes in such numbers is not in such a hurry


class Hint(NamedTuple):
    """What is due: buckets with new inbox rows, partitions of a Postgres log with new records, partitions that the
    sender has claimed; turns that some of the rows are for (16 bytes each).
    """

    inbox_buckets: frozenset[int] = frozenset()
    log_partitions: frozenset[int] = frozenset()
    claimed_partitions: frozenset[int] = frozenset()
    inbox_turn_ids: frozenset[bytes] = frozenset()


class _Line:
    """What waits for one address, and the task that delivers it."""

    def __init__(self) -> None:
        self.inbox_buckets: set[int] = set()
        self.log_partitions: set[int] = set()
        self.claimed_partitions: set[int] = set()
        self.inbox_turn_ids: set[bytes] = set()
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def take(self) -> Hint:
        hint = Hint(
            frozenset(self.inbox_buckets),
            frozenset(self.log_partitions),
            frozenset(self.claimed_partitions),
            frozenset(self.inbox_turn_ids),
        )
        self.inbox_buckets.clear()
        self.log_partitions.clear()
        self.claimed_partitions.clear()
        self.inbox_turn_ids.clear()
        self.news.clear()
        return hint


class Poker:
    """Sends pokes for one lane. Used from one event loop; close it there."""

    def __init__(
        self, secret: bytes, lane: str, clock: Clock, on_failure: Callable[[str, Hint], None] = lambda *_: None
    ) -> None:
        """on_failure: called with the address and the hint that did not arrive there."""
        self._secret = secret
        self._lane = lane
        self._clock = clock
        self._on_failure = on_failure
        self._lines: dict[str, _Line] = {}

    def poke(
        self,
        address: str,
        inbox_buckets: Iterable[int] = (),
        log_partitions: Iterable[int] = (),
        claimed_partitions: Iterable[int] = (),
        inbox_turn_ids: Iterable[bytes] = (),
    ) -> None:
        """Tell the worker at address, soon."""
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = _Line()
            line.task = asyncio.get_running_loop().create_task(self._deliver(address, line))
        line.inbox_buckets.update(inbox_buckets)
        line.log_partitions.update(log_partitions)
        line.claimed_partitions.update(claimed_partitions)
        line.inbox_turn_ids.update(islice(inbox_turn_ids, TURN_IDS_MAX - len(line.inbox_turn_ids)))
        line.news.set()

    async def close(self) -> None:
        """Close every channel; what waits is dropped."""
        tasks = [line.task for line in self._lines.values() if line.task]
        self._lines.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, address: str, line: _Line) -> None:
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                call = channel.unary_unary(METHOD)
                while await self._has_news(line):
                    has_arrived = await self._send(call, address, line.take())
                    await self._clock.sleep(SPACING_S if has_arrived else FAILED_PAUSE_S)
        finally:
            if self._lines.get(address) is line:
                del self._lines[address]

    async def _has_news(self, line: _Line) -> bool:
        """True when there is something to send; False after IDLE_S without."""
        try:
            async with asyncio.timeout(IDLE_S):
                await line.news.wait()
        except TimeoutError:
            return line.news.is_set()
        return True

    async def _send(self, call: Any, address: str, hint: Hint) -> bool:
        message = worker_pb2.PokeRequest(
            lane=self._lane,
            inbox_buckets=sorted(hint.inbox_buckets),
            log_partitions=sorted(hint.log_partitions),
            claimed_partitions=sorted(hint.claimed_partitions),
            inbox_turn_ids=sorted(hint.inbox_turn_ids),
        ).SerializeToString()
        try:
            now_s = self._clock.unix_ms() // 1000
            await call(message, timeout=TIMEOUT_S, metadata=sign(self._secret, METHOD, message, now_s))
        except grpc.aio.AioRpcError:
            self._on_failure(address, hint)
            return False
        return True
