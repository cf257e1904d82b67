"""What is said of copies, as the messages of proto/argosy/rpc/shard.proto, and back. Pure."""

import uuid

from argosy.errors import GraphInputError
from argosy.graph.copies import CopyPart, CopySums, Received
from argosy.graph.facts import GraphName, GraphRef, GraphState, Stats
from argosy.graph.messages import graph_to_pb, stats_of_pb, stats_to_pb, uuid_of_pb
from argosy.rpc import shard_pb2 as pb


def part_to_pb(part: CopyPart) -> pb.CopyPart:
    return pb.CopyPart(offset=part.offset, data=part.data, size_bytes=part.size_bytes, sha256=part.sha256)


def part_of_pb(part: pb.CopyPart) -> CopyPart:
    return CopyPart(part.offset, part.data, part.size_bytes, part.sha256)


def received_to_pb(received: Received) -> pb.ReceiveResponse:
    return pb.ReceiveResponse(**received._asdict())


def received_of_pb(message: pb.ReceiveResponse) -> Received:
    return Received(message.base_size_bytes, message.tail_size_bytes, message.is_whole, message.is_landed)


def land_to_pb(ref: GraphRef, copy_id: uuid.UUID, sums: CopySums, expected: Stats | None) -> pb.LandRequest:
    name = GraphName(ref.tenant, ref.graph)
    return pb.LandRequest(
        graph=graph_to_pb(ref),
        copy_id=copy_id.bytes,
        expected=None if expected is None else stats_to_pb(name, expected),
        **sums._asdict(),
    )


def sums_of_pb(message: pb.LandRequest) -> CopySums:
    return CopySums(message.base_sha256, message.tail_size_bytes, message.tail_sha256)


def expected_of_pb(message: pb.LandRequest) -> Stats | None:
    return stats_of_pb(message.expected)[1] if message.HasField("expected") else None


def copy_id_of_pb(raw: bytes) -> uuid.UUID:
    return uuid_of_pb(raw, "copy_id")


def state_of_pb(state: str) -> GraphState:
    try:
        return GraphState(state)
    except ValueError as error:
        raise GraphInputError(f"state: {', '.join(GraphState)}, not {state!r}") from error
