"""The gRPC service for pokes: another process says that something is due here, and the worker looks at once."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Any, Final, Protocol, cast

import grpc
import grpc.aio

from argosy import telemetry
from argosy.rpc import worker_pb2, worker_pb2_grpc
from argosy.rpc.poke import TURNS_MAX

_ENDS: Final = "the worker ends"
_HEARD: Final = worker_pb2.PokeResponse()


class AfterPoke(Protocol):
    """What PokeService tells, and Others of what concerns this worker itself."""

    def after_poke(self, buckets: Sequence[int]) -> None:
        """Something is due in these buckets."""

    def after_signal(self, turns: Sequence[tuple[str, uuid.UUID]]) -> None:
        """Signals to these turns, each with the tenant that the caller names, are being written."""

    def after_append(self) -> None:
        """A Postgres log has new records."""

    def after_rival_claim(self, partitions: Sequence[int]) -> None:
        """Another worker has claimed these partitions."""


class PokeService(worker_pb2_grpc.WorkerServicer):  # type: ignore[misc]
    """The poke service. A poke is a hint: whatever it says, the worker looks only at turns that it owns or borrows.

    streams_max: how many streams of pokes may be open, one for each process that pokes.
    """

    def __init__(self, then: AfterPoke, *, streams_max: int) -> None:
        self._then = then
        self._streams_max = streams_max
        self._streams: set[asyncio.Task[Any]] = set()
        self._is_closing = False

    def add_to(self, server: Any) -> None:
        worker_pb2_grpc.add_WorkerServicer_to_server(self, server)

    def close(self) -> None:
        """End every stream."""
        self._is_closing = True
        for task in self._streams:
            task.cancel()

    async def Poke(self, requests: AsyncIterator[Any], context: Any) -> None:  # noqa: N802 — the name in the contract
        if self._is_closing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, _ENDS)
        if len(self._streams) >= self._streams_max:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{len(self._streams)} streams are open")
        task = cast(asyncio.Task[Any], asyncio.current_task())
        self._streams.add(task)
        try:
            async for request in requests:
                self._hear(request)
                await asyncio.sleep(0)  # let the look begin before the answer is written
                await context.write(_HEARD)
        except asyncio.CancelledError:
            if not self._is_closing:
                raise
            await context.abort(grpc.StatusCode.UNAVAILABLE, _ENDS)
        finally:
            self._streams.discard(task)

    def _hear(self, request: worker_pb2.PokeRequest) -> None:
        telemetry.POKES.inc()
        if request.signalled_turns:
            named = islice(request.signalled_turns, TURNS_MAX)
            self._then.after_signal(
                [(each.tenant, uuid.UUID(bytes=each.turn_id)) for each in named if len(each.turn_id) == 16]
            )
        if request.inbox_buckets:
            self._then.after_poke(request.inbox_buckets)
        if request.log_partitions:
            self._then.after_append()
        if request.claimed_partitions:
            self._then.after_rival_claim(request.claimed_partitions)
