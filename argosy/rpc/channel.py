"""Channels to Argosy's own processes, by TCP or by a Unix socket, with TLS or without."""

from collections.abc import Sequence
from typing import Any, Final

import grpc
import grpc.aio

from argosy.process import fork

# Argosy's processes reach each other directly: http_proxy and all_proxy of the environment are for other destinations.
_OPTIONS: Final = (("grpc.enable_http_proxy", 0),)
_UNIX: Final = "unix:"


def open_channel(
    target: str, options: Sequence[tuple[str, Any]] = (), credentials: grpc.ChannelCredentials | None = None
) -> grpc.aio.Channel:
    """Return a channel to a process of Argosy's. target: host:port or unix:PATH. credentials: of TLS, for which a Unix
    socket has no use.
    """
    if target.startswith(_UNIX):
        fork.own_peer(target.removeprefix(_UNIX))
        return grpc.aio.insecure_channel(target, [*_OPTIONS, *options])
    fork.own_peer_address(target)
    if credentials is None:
        return grpc.aio.insecure_channel(target, [*_OPTIONS, *options])
    return grpc.aio.secure_channel(target, credentials, [*_OPTIONS, *options])
