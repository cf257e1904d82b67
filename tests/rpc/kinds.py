"""A gRPC service with a method of each kind, as protoc would have made it, and a process that serves it."""

import uuid
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from argosy.rpc.server import RpcServer
from argosy.rpc.signed_call import Callee
from argosy.rpc.tls import Tls
from argosy.rpc.verify_calls import SilentBounds
from tests.harness.silent import SILENT

KEY: Final = b"k" * 32
_FILE: Final = FileDescriptorProto(
    name="tests/rpc/kinds.proto",
    package="argosy.tests",
    syntax="proto3",
    message_type=[{"name": "Text", "field": [{"name": "text", "number": 1, "label": 1, "type": 9}]}],
    service=[
        {
            "name": "Kinds",
            "method": [
                {
                    "name": name,
                    "input_type": ".argosy.tests.Text",
                    "output_type": ".argosy.tests.Text",
                    "client_streaming": takes_many,
                    "server_streaming": answers_many,
                }
                for name, takes_many, answers_many in (
                    ("Unary", False, False),
                    ("ClientStreaming", True, False),
                    ("ServerStreaming", False, True),
                    ("Bidirectional", True, True),
                )
            ],
        }
    ],
)
_POOL: Final = DescriptorPool()
_POOL.Add(_FILE)
_SERVICE: Final = _POOL.FindServiceByName("argosy.tests.Kinds")
METHODS: Final[dict[str, MethodDescriptor]] = dict(_SERVICE.methods_by_name)
Text: Final = GetMessageClass(_POOL.FindMessageTypeByName("argosy.tests.Text"))


class Kinds:
    """Answers with what it heard; `heard` has every message that reached a servicer."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def unary(self, request: Any, context: Any) -> Any:
        return Text(text=f"heard {self._hear(request)}")

    async def client_streaming(self, requests: AsyncIterator[Any], context: Any) -> Any:
        return Text(text=" ".join([self._hear(each) async for each in requests]))

    async def server_streaming(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self._hear(request)
        for each in request.text.split():
            yield Text(text=each)

    async def bidirectional(self, requests: AsyncIterator[Any], context: Any) -> None:
        async for each in requests:
            await context.write(Text(text=f"heard {self._hear(each)}"))

    def _hear(self, request: Any) -> str:
        self.heard.append(request.text)
        return str(request.text)

    def add_to(self, server: Any) -> None:
        def coded(make: Any, method: Any) -> Any:
            return make(method, request_deserializer=Text.FromString, response_serializer=Text.SerializeToString)

        handlers = {
            "Unary": coded(grpc.unary_unary_rpc_method_handler, self.unary),
            "ClientStreaming": coded(grpc.stream_unary_rpc_method_handler, self.client_streaming),
            "ServerStreaming": coded(grpc.unary_stream_rpc_method_handler, self.server_streaming),
            "Bidirectional": coded(grpc.stream_stream_rpc_method_handler, self.bidirectional),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),))


class Process:
    """Serves Kinds from `start` to `stop`."""

    def __init__(self, silent: SilentBounds = SILENT, tls: Tls | None = None) -> None:
        self.kinds = Kinds()
        self.id = uuid.uuid4()
        self._server = RpcServer(key=KEY, worker_id=self.id, host="127.0.0.1", port=0, silent=silent, tls=tls)
        self.callee = Callee(self.id, self._server.address)

    async def start(self) -> None:
        await self._server.start(self.kinds)

    async def stop(self) -> None:
        await self._server.stop()
