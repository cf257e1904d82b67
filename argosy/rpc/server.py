"""The gRPC server of workers, on which every message of every call is signed. That of shards is in shards/server.py."""

import uuid
from typing import Any, Final, Protocol

import grpc.aio

from argosy.address import host_port
from argosy.errors import SettingError
from argosy.process import fork
from argosy.rpc.tls import Tls, warn_of_clear_text
from argosy.rpc.verify_calls import SilentBounds, VerifyCalls

# For calls under way at the end: a poke is answered within milliseconds, and a gateway opens its streams anew.
_STOP_S: Final = 1.0
# Of a request, as proto/argosy/rpc/watch.proto says. A poke that names every bucket has some kilobytes.
_MESSAGE_SIZE_BYTES_MAX: Final = 1_048_576
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", _MESSAGE_SIZE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
    # Notices a gateway that was cut off or stopped without closing its streams, so that its subscriptions end.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


class Service(Protocol):
    """An implementation of a gRPC service in proto/."""

    def add_to(self, server: Any) -> None: ...


class RpcServer:
    """Serves signed calls, of methods of all four kinds, from `start` to `stop`. address: where other processes reach
    it.
    """

    def __init__(
        self,
        *,
        key: bytes,
        worker_id: uuid.UUID,
        host: str,
        port: int,
        silent: SilentBounds,
        tls: Tls | None = None,
        previous: bytes | None = None,
    ) -> None:
        """Bind host:port, where port 0 means a free one. key: Keys.calls. previous: a key that callers may still have.
        Raises SettingError when it cannot bind.
        """
        self._server = grpc.aio.server(interceptors=[VerifyCalls(key, worker_id, silent, previous)], options=_OPTIONS)
        credentials = tls and tls.server_credentials()
        try:
            if credentials is None:
                bound = self._server.add_insecure_port(host_port(host, port))
            else:
                bound = self._server.add_secure_port(host_port(host, port), credentials)
        except RuntimeError as error:
            raise SettingError(f"GRPC_HOST={host}, GRPC_PORT={port}: {error}") from error
        fork.own_name(bound)
        self.address = host_port(host, bound)
        warn_of_clear_text(tls, host, self.address)

    async def start(self, *services: Service) -> None:
        for service in services:
            service.add_to(self._server)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(_STOP_S)
