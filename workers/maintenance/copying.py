"""The pipe from one shard to another, through which a graph's bytes go while the leader holds both of its ends.

A pipe takes parts as fast as the slower end, and no faster than whoever wants the copy lets them through. One through
which nothing came for a while is given up: one of the shards has stopped.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final, Protocol

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, CopyBrokenError, ShardSilentError
from argosy.graph.copies import Copies, CopyPart, Received
from argosy.graph.facts import GraphRef

DAY_S: Final = 86_400.0  # of a stream: that nothing came through it for a while ends it sooner
_SILENT_S: Final = 30.0  # between two parts
_VERIFIED_BYTES_S: Final = 10_000_000  # how fast a slow disk reads a base again, to see that it is sound
_BURST_S: Final = 0.25  # what small graphs need is not spread


class Bucket:
    """The bytes that may be copied now, by all pipes together."""

    def __init__(self, rate_bytes_s: float, clock: Clock) -> None:
        self._rate_bytes_s = rate_bytes_s
        self._clock = clock
        self._free_s = 0.0  # when what was taken is paid for

    async def take(self, size_bytes: int) -> None:
        """Wait until so much may be copied."""
        now_s = self._clock.monotonic_s()
        self._free_s = max(self._free_s, now_s) + size_bytes / self._rate_bytes_s
        if (delay_s := self._free_s - now_s - _BURST_S) > 0:
            await self._clock.sleep(delay_s)


class Gate(Protocol):
    """Whoever wants a copy."""

    async def admit(self, part: CopyPart) -> bool:
        """Wait until the part may go on; False: the copy is not wanted any more."""


class Open(Gate):
    """Lets everything through: under the seal nothing waits."""

    async def admit(self, part: CopyPart) -> bool:
        return True


class Pipe:
    """From a graph's source to its target, for one copy."""

    def __init__(self, ref: GraphRef, copy_id: uuid.UUID, source: Copies, target: Copies) -> None:
        self._ref = ref
        self._copy_id = copy_id
        self._source = source
        self._target = target

    async def send_base(self, gate: Gate) -> CopyPart:
        """Copy the base, and return its last part. Raises CopyBrokenError, also when it is not wanted any more."""
        parts = self._source.copy(self._ref, self._copy_id, deadline_s=DAY_S)
        return await self._send(parts, gate, is_tail=False, deadline_s=DAY_S)

    async def send_tail(self, offset: int, gate: Gate, deadline_s: float) -> CopyPart:
        """Copy what the tail has from an offset on, and return the last part."""
        parts = self._source.copy_tail(self._ref, self._copy_id, offset=offset, deadline_s=deadline_s)
        return await self._send(parts, gate, is_tail=True, deadline_s=deadline_s)

    async def received(self, deadline_s: float) -> Received:
        """Return what the target has."""
        return await self._target.receive(self._ref, self._copy_id, _nothing(), is_tail=True, deadline_s=deadline_s)

    async def _send(
        self, parts: AsyncGenerator[CopyPart, None], gate: Gate, *, is_tail: bool, deadline_s: float
    ) -> CopyPart:
        flow = _Flow(parts, gate)
        try:
            async with asyncio.timeout(_SILENT_S) as silence, flow.drawn(silence):
                received = await self._target.receive(
                    self._ref, self._copy_id, flow.through(), is_tail=is_tail, deadline_s=deadline_s
                )
        except TimeoutError as error:
            raise ShardSilentError("nothing came through from one shard to the other for too long") from error
        except ArgosyError:
            if flow.fault is None or flow.whole is not None:
                raise
            raise flow.fault from None  # the source's, of which the target knows that the parts ended
        last = flow.whole
        if flow.fault is not None and not (last is not None and _has_all(received, last, is_tail=is_tail)):
            raise flow.fault
        if last is None:
            raise CopyBrokenError("the target did not take all of the copy")
        return last


class _Flow:
    """What goes through a pipe once. fault: why it was not read to its end, which may be behind its last part.

    A target answers when it has the last part, or refuses one, while whoever takes parts for it still waits for the
    next one. So the source is read by a task of the pipe, which ends with it; nobody else is in the middle of a read.
    """

    def __init__(self, parts: AsyncGenerator[CopyPart, None], gate: Gate) -> None:
        self._parts = parts
        self._gate = gate
        self._drawn: asyncio.Queue[CopyPart | None] = asyncio.Queue(2)  # one part (_has_room), and the end
        self._has_room = asyncio.Event()
        self.last: CopyPart | None = None
        self.fault: Exception | None = None

    @property
    def whole(self) -> CopyPart | None:
        """The part with which all has been read."""
        return self.last if self.last is not None and self.last.sha256 else None

    @asynccontextmanager
    async def drawn(self, silence: asyncio.Timeout) -> AsyncIterator[None]:
        """Read the source until the block ends, one part ahead. silence: begins anew with each part."""
        drawing = asyncio.create_task(self._draw(silence))
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)

    async def through(self) -> AsyncGenerator[CopyPart, None]:
        """Yield the parts that the gate lets through, to their end or to that of `drawn`."""
        self._has_room.set()
        while (part := await self._drawn.get()) is not None:
            yield part
            self._has_room.set()

    async def _draw(self, silence: asyncio.Timeout) -> None:
        try:
            async with aclosing(self._parts):
                async for part in self._parts:
                    if not await self._gate.admit(part):
                        self.fault = CopyBrokenError("the copy is not wanted any more")
                        return
                    await self._has_room.wait()
                    self._has_room.clear()
                    self.last = part
                    telemetry.MOVE_BYTES.inc(len(part.data))
                    verified_s = part.size_bytes / _VERIFIED_BYTES_S if part.sha256 else 0.0
                    silence.reschedule(asyncio.get_running_loop().time() + _SILENT_S + verified_s)
                    self._drawn.put_nowait(part)
        except Exception as error:  # the caller's to judge; behind a call to the target it would be lost
            self.fault = error
        finally:
            self._drawn.put_nowait(None)


def _has_all(received: Received, last: CopyPart, *, is_tail: bool) -> bool:
    """Whether the target has all that leads up to the last part: then it does not matter how the source ended."""
    return received.tail_size_bytes >= last.size_bytes if is_tail else received.is_whole


async def _nothing() -> AsyncIterator[CopyPart]:
    no_parts: tuple[CopyPart, ...] = ()
    for part in no_parts:
        yield part
