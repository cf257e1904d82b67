"""Another process of Argosy, as one that calls it knows it.

A method is named by its descriptor, which protoc has made of proto/: it says what the messages are. Calls of all four
kinds (with one message or a stream of them, in either direction) are signed in one way, and look the same on the wire:
argosy/rpc/signed_call.py.
"""

from collections.abc import Sequence
from typing import Any, Self

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from argosy.rpc.channel import open_channel
from argosy.rpc.signed_call import Callee, SignedCall
from argosy.rpc.tls import Tls


class Peer:
    """A channel to another process, for any number of calls. It is used, and closed, on one event loop."""

    def __init__(
        self, callee: Callee, key: bytes, options: Sequence[tuple[str, Any]] = (), tls: Tls | None = None
    ) -> None:
        """key: Keys.calls. options: of the gRPC channel."""
        self._callee = callee
        self._key = key
        self._channel = open_channel(callee.address, options, tls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self, method: MethodDescriptor) -> SignedCall:
        """Begin a call, of whatever kind its method is; that takes one round trip. Raises CallError. It has no
        time-out: it waits for ever for a callee that does not answer.
        """
        answer = GetMessageClass(method.output_type)
        return await SignedCall.open(self._channel, self._key, path_of(method), self._callee, answer)

    async def close(self) -> None:
        """Close the channel, and end the calls that are open on it."""
        await self._channel.close()


def path_of(method: MethodDescriptor) -> str:
    """Return the full name of a method in gRPC, "/package.Service/Method"."""
    return f"/{method.containing_service.full_name}/{method.name}"
