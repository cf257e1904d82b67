"""Channels to Argosy's own processes, by TCP or by a Unix socket, with TLS or without."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc
import grpc.aio

from argosy.process import fork
from argosy.rpc.tls import Tls

# Argosy's processes reach each other directly: http_proxy and all_proxy of the environment are for other destinations.
_OPTIONS: Final = (("grpc.enable_http_proxy", 0),)
_UNIX: Final = "unix:"


def open_channel(target: str, options: Sequence[tuple[str, Any]] = (), tls: Tls | None = None) -> Any:
    """Return a channel to a process of Argosy's. target: host:port or unix:PATH, which has no use for TLS."""
    options = (*_OPTIONS, *options)
    if target.startswith(_UNIX):
        fork.own_peer(target.removeprefix(_UNIX))
        return grpc.aio.insecure_channel(target, options)
    fork.own_peer_address(target)
    if tls is None or tls.channel_credentials() is None:
        return grpc.aio.insecure_channel(target, options)
    return RenewedChannel(target, options, tls)


class RenewedChannel:
    """A channel with TLS, which is made anew when the files of TLS have changed. Used on one event loop.

    Calls that are open end on the channel on which they began; it is closed after the last of them.
    """

    def __init__(self, target: str, options: Sequence[tuple[str, Any]], tls: Tls) -> None:
        self._target = target
        self._options = [*options, *([("grpc.ssl_target_name_override", tls.name)] if tls.name else [])]
        self._tls = tls
        self._credentials: grpc.ChannelCredentials | None = None
        self._channel: Any = None
        # The calls that are open on each channel: the one of now, and those of before that still have some.
        self._open: dict[Any, int] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def unary_unary(self, method: str) -> Callable[..., Any]:
        return self._counted(lambda channel: channel.unary_unary(method))

    def unary_stream(self, method: str) -> Callable[..., Any]:
        return self._counted(lambda channel: channel.unary_stream(method))

    def stream_stream(self, method: str) -> Callable[..., Any]:
        return self._counted(lambda channel: channel.stream_stream(method))

    async def close(self) -> None:
        """Close the channel, and those of before. Calls that are open end."""
        channels = [*self._open]
        self._open.clear()
        await asyncio.gather(*self._closing, *(channel.close() for channel in channels))

    def _counted(self, method_of: Callable[[Any], Any]) -> Callable[..., Any]:
        def begin(*arguments: Any, **named: Any) -> Any:
            channel = self._now()
            call = method_of(channel)(*arguments, **named)
            self._open[channel] += 1
            call.add_done_callback(lambda _: self._ended(channel))
            return call

        return begin

    def _now(self) -> Any:
        credentials = self._tls.channel_credentials()
        if credentials is not self._credentials:
            before, self._credentials = self._channel, credentials
            self._channel = grpc.aio.secure_channel(self._target, credentials, self._options)
            self._open[self._channel] = 0
            self._close_unused(before)
        return self._channel

    def _ended(self, channel: Any) -> None:
        if channel in self._open:
            self._open[channel] -= 1
            self._close_unused(channel)

    def _close_unused(self, channel: Any) -> None:
        if channel is not self._channel and self._open.get(channel) == 0:
            del self._open[channel]
            closing = asyncio.get_running_loop().create_task(channel.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
