"""The worker's gRPC server: others say that something is due here, and the worker looks at once."""

from collections.abc import Callable, Sequence

import grpc
import grpc.aio

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import SettingError
from argosy.rpc import worker_pb2, worker_pb2_grpc
from argosy.signing import VerifyCalls

_STOP_S = 1.0
_MESSAGE_SIZE_BYTES_MAX = 65_536


class PokeService(worker_pb2_grpc.WorkerServicer):  # type: ignore[misc]
    """Poke is a hint: whatever it says, a worker only looks at what it owns."""

    def __init__(
        self,
        on_inbox: Callable[[], None],
        on_log: Callable[[], None],
        on_claimed: Callable[[Sequence[int]], None] = lambda _: None,
    ) -> None:
        self._on_inbox = on_inbox
        self._on_log = on_log
        self._on_claimed = on_claimed

    async def Poke(  # noqa: N802 — the name in the contract
        self, request: worker_pb2.PokeRequest, context: grpc.aio.ServicerContext
    ) -> worker_pb2.PokeResponse:
        telemetry.POKES.inc()
        if request.inbox_buckets:
            self._on_inbox()
        if request.log_partitions:
            self._on_log()
        if request.claimed_partitions:
            self._on_claimed(request.claimed_partitions)
        return worker_pb2.PokeResponse()


class PokeServer:
    """Serves signed calls from `start` to `stop`; `address` is where others reach it."""

    def __init__(
        self, service: PokeService, *, secret: bytes, skew_s: float, clock: Clock, host: str, port: int
    ) -> None:
        self._server = grpc.aio.server(
            interceptors=[VerifyCalls(secret, skew_s, clock)],
            options=[("grpc.max_receive_message_length", _MESSAGE_SIZE_BYTES_MAX), ("grpc.so_reuseport", 0)],
        )
        worker_pb2_grpc.add_WorkerServicer_to_server(service, self._server)
        try:
            bound = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise SettingError(f"GRPC_HOST={host}, GRPC_PORT={port}: {error}") from error
        self.address = f"{host}:{bound}"

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(_STOP_S)
