"""Others say that something is due here, and the worker looks at once."""

import uuid
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import grpc.aio

from argosy import telemetry
from argosy.poke import TURN_IDS_MAX
from argosy.rpc import worker_pb2, worker_pb2_grpc


class PokeService(worker_pb2_grpc.WorkerServicer):  # type: ignore[misc]
    """Poke is a hint: whatever it says, a worker only looks at what it owns."""

    def __init__(
        self,
        on_inbox: Callable[[Sequence[uuid.UUID]], None],
        on_log: Callable[[], None],
        on_claimed: Callable[[Sequence[int]], None] = lambda _: None,
    ) -> None:
        self._on_inbox = on_inbox
        self._on_log = on_log
        self._on_claimed = on_claimed

    def add_to(self, server: Any) -> None:
        worker_pb2_grpc.add_WorkerServicer_to_server(self, server)

    async def Poke(  # noqa: N802 — the name in the contract
        self, request: worker_pb2.PokeRequest, context: grpc.aio.ServicerContext
    ) -> worker_pb2.PokeResponse:
        telemetry.POKES.inc()
        if request.inbox_buckets:
            named = islice(request.inbox_turn_ids, TURN_IDS_MAX)
            self._on_inbox([uuid.UUID(bytes=each) for each in named if len(each) == 16])
        if request.log_partitions:
            self._on_log()
        if request.claimed_partitions:
            self._on_claimed(request.claimed_partitions)
        return worker_pb2.PokeResponse()
