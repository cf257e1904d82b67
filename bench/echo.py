"""A signed echo in a shard's process: what a call costs there that finds nothing. Run as `python -m bench.echo PORT`.

The shard is served as `argosy shard` serves it. Beside it, in the same process and on the same event loop, a server
with the same checks answers a call that has GetNodes's messages with one node that is always the same.
"""

import asyncio
import signal
import sys
import uuid
from typing import Any, Final

import grpc
import grpc.aio
import uvloop
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from argosy import config
from argosy.clock import SystemClock
from argosy.process import garbage
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_server import Addressee, CallBounds, SignedCalls
from argosy.secret import load_keys
from argosy.shards.opened import open_engine, open_shard
from argosy.shards.served import ServedShard

ECHO_ID: Final = uuid.UUID(int=1)
ANSWER: Final = pb.GetNodesResponse(
    found=[0], nodes=[pb.Node(id="1234", label="Person", props=b'{"age":42,"name":"person 1234"}', version=1)]
)


def _method() -> MethodDescriptor:
    file = descriptor_pb2.FileDescriptorProto(
        name="bench/echo.proto", package="argosy.bench", syntax="proto3", dependency=[pb.DESCRIPTOR.name]
    )
    messages = pb.GetNodesRequest.DESCRIPTOR.full_name, pb.GetNodesResponse.DESCRIPTOR.full_name
    service = file.service.add(name="Echo")
    service.method.add(name="Say", input_type=f".{messages[0]}", output_type=f".{messages[1]}")
    pool = descriptor_pool.Default()
    pool.Add(file)
    method: MethodDescriptor = pool.FindServiceByName("argosy.bench.Echo").methods_by_name["Say"]
    return method


SAY: Final = _method()


class _Echo(grpc.GenericRpcHandler):  # type: ignore[misc]
    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:
        async def say(request: Any, context: Any) -> Any:
            return ANSWER

        return grpc.unary_unary_rpc_method_handler(
            say, pb.GetNodesRequest.FromString, pb.GetNodesResponse.SerializeToString
        )


async def _serve(port: int) -> None:
    settings, clock = config.load(), SystemClock()
    engine = open_engine(settings, is_own_process=True)
    served = ServedShard(settings, open_shard(settings, engine, clock), engine.member_id, clock)
    key = load_keys(settings.graph_service_auth_secret, settings.argosy_data_dir).shards
    bounds = CallBounds(
        calls_max=settings.shard_calls_max,
        age_max_s=settings.shard_call_age_max_s,
        message_size_bytes_max=settings.shard_message_size_bytes_max,
        requests_size_bytes_max=settings.shard_requests_size_bytes_max,
    )
    echo = grpc.aio.server(interceptors=[SignedCalls(key, Addressee(ECHO_ID), clock, bounds)])
    echo.add_generic_rpc_handlers((_Echo(),))
    echo.add_insecure_port(f"127.0.0.1:{port}")
    await echo.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, served.stop)
    garbage.settle()
    await served.run()
    await echo.stop(None)


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
