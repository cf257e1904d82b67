"""The gRPC server of a shard: signed calls, TLS by setting, gRPC's health service and reflection."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from argosy.address import host_port, is_loopback
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.graph.transport import Transport
from argosy.process import fork
from argosy.rpc.call_client import KEEPALIVE_OPTIONS
from argosy.rpc.call_server import UNSIGNED_CALLS_MAX, Addressee, CallBounds, SignedCalls
from argosy.rpc.tls import Tls, shard_tls, warn_of_clear_text
from argosy.shards.service import FOR_ANYBODY, SERVICE, ShardService

# Unsigned: they tell whether this process serves and what proto/ says, to those who have no key.
_UNSIGNED: Final = (health.SERVICE_NAME, reflection.SERVICE_NAME)
_UNIX_PATH_SIZE_BYTES_MAX: Final = 107  # sockaddr_un


class ShardServer:
    """Serves a shard from `start` to `stop`. address: where others reach it, host:port or unix:PATH."""

    def __init__(
        self,
        shard: Transport,
        member_id: uuid.UUID,
        key: bytes,
        clock: Clock,
        settings: Settings,
        previous: bytes | None = None,
    ) -> None:
        """Bind SHARD_SOCKET, or else SHARD_HOST and SHARD_PORT. key: Keys.shards. previous: one that callers may still
        have. Raises SettingError when what is set cannot be bound, or must not be.
        """
        size_bytes_max = settings.shard_message_size_bytes_max
        bounds = CallBounds(
            calls_max=settings.shard_calls_max,
            age_max_s=settings.shard_call_age_max_s,
            message_size_bytes_max=size_bytes_max,
            requests_size_bytes_max=settings.shard_requests_size_bytes_max,
        )
        signed = SignedCalls(key, Addressee(member_id, FOR_ANYBODY, _UNSIGNED), clock, bounds, previous)
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[signed],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", size_bytes_max),
                ("grpc.max_send_message_length", -1),
                *KEEPALIVE_OPTIONS,
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
            ],
            # Besides those that the interceptor counts: calls that were opened and have sent no message yet.
            maximum_concurrent_rpcs=2 * settings.shard_calls_max + UNSIGNED_CALLS_MAX,
        )
        by_name, reflecting = _ByName(self._server), reflection.aio.ReflectionServicer((SERVICE, *_UNSIGNED))
        ShardService(shard, member_id).add_to(by_name)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, by_name)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflecting, by_name)
        self.address = self._bind_unix(Path(settings.shard_socket)) if settings.shard_socket else self._bind(settings)

    async def start(self) -> None:
        await self._server.start()
        await self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)

    async def leave(self) -> None:
        """Tell whoever asks for this process's health that it serves no more; calls are answered still."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and end after grace_s those that are under way."""
        await self.leave()
        await self._server.stop(grace_s)

    def _bind(self, settings: Settings) -> str:
        tls = shard_tls(settings)
        _check_reach(settings, tls)
        wanted = host_port(settings.shard_host, settings.shard_port)
        credentials = tls and tls.server_credentials()
        try:
            if credentials is None:
                bound = self._server.add_insecure_port(wanted)
            else:
                bound = self._server.add_secure_port(wanted, credentials)
        except RuntimeError as error:
            raise SettingError(
                f"SHARD_HOST={settings.shard_host}, SHARD_PORT={settings.shard_port}: {error}"
            ) from error
        fork.own_name(bound)
        address = host_port(settings.shard_host, bound)
        warn_of_clear_text(tls, settings.shard_host, address)
        return address

    def _bind_unix(self, path: Path) -> str:
        if len(str(path).encode()) > _UNIX_PATH_SIZE_BYTES_MAX:
            raise SettingError(
                f"SHARD_SOCKET={path} is too long: a Unix socket's path has at most {_UNIX_PATH_SIZE_BYTES_MAX} bytes"
            )
        try:
            self._server.add_insecure_port(f"unix:{path}")
            path.chmod(0o600)
        except (RuntimeError, OSError) as error:
            raise SettingError(f"SHARD_SOCKET={path}: {error}") from error
        fork.own_name(str(path))
        return f"unix:{path}"


class _ByName:
    """A server to generated code, which adds services to it. Their methods are looked up by name when they are called.

    Generated code would register each method as well. For each of those grpc.aio keeps a task that waits for its next
    call, and at every call it looks at all of these tasks: with 19 methods, that took longer than reading a node.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        """Do without."""


def _check_reach(settings: Settings, tls: Tls | None) -> None:
    if not ((tls and tls.serves) or settings.shard_allow_remote or is_loopback(settings.shard_host)):
        raise SettingError(
            f"SHARD_HOST={settings.shard_host} is not a loopback address, and nothing is encrypted: set GRPC_TLS_CERT, "
            "GRPC_TLS_KEY and GRPC_TLS_CA, bind 127.0.0.1, or set SHARD_ALLOW_REMOTE=1 where the network is trusted"
        )
