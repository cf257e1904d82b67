"""Large answers in parts of about 1 MiB, as the messages of a stream. Pure."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from argosy.graph.facts import Answer, Edge, Neighborhood, Node, size_of
from argosy.graph.messages import add_edge, add_node, edge_of_pb, node_of_pb
from argosy.rpc import shard_pb2 as pb

CHUNK_SIZE_BYTES: Final = 1_048_576  # as much as the props of a single node may have (PROPS_SIZE_BYTES_MAX)
# What a fact has on the wire beside its texts and props: tags, lengths, numbers, and where it comes from.
_OVERHEAD_SIZE_BYTES: Final = 128

_encode: Final = msgspec.json.Encoder().encode
_decode_rows: Final = msgspec.json.Decoder(list[list[Any]]).decode


def facts_to_pb(nodes: Sequence[Node], edges: Sequence[Edge], *, is_cut: bool = False) -> Iterator[pb.Facts]:
    """Yield messages with these facts, at least one. is_cut is in each of them."""
    part, size_bytes = pb.Facts(is_cut=is_cut), 0
    facts: Iterable[Node | Edge] = chain(nodes, edges)
    for fact in facts:
        added = size_of(fact, _OVERHEAD_SIZE_BYTES)
        if size_bytes and size_bytes + added > CHUNK_SIZE_BYTES:
            yield part
            part, size_bytes = pb.Facts(is_cut=is_cut), 0
        if isinstance(fact, Node):
            add_node(part.nodes, fact)
        else:
            add_edge(part.edges, fact)
        size_bytes += added
    yield part


async def facts_of_pb(messages: AsyncIterator[pb.Facts]) -> Neighborhood:
    """Return the facts of all messages of a stream."""
    nodes: list[Node] = []
    edges: list[Edge] = []
    is_cut = False
    async for message in messages:
        nodes += map(node_of_pb, message.nodes)
        edges += map(edge_of_pb, message.edges)
        is_cut |= message.is_cut
    return Neighborhood(nodes, edges, is_cut)


def answer_to_pb(answer: Answer) -> Iterator[pb.Rows]:
    """Yield messages with an answer, the columns in the first one."""
    columns = answer.columns
    for part in _parts(map(_encode, answer.rows)):
        yield pb.Rows(columns=columns, rows=b"[" + b",".join(part) + b"]", is_cut=answer.is_cut)
        columns = []
    if columns or not answer.rows:
        yield pb.Rows(columns=columns, rows=b"[]", is_cut=answer.is_cut)


async def answer_of_pb(messages: AsyncIterator[pb.Rows]) -> Answer:
    """Return the answer that the messages of a stream are together."""
    columns: list[str] = []
    rows: list[list[Any]] = []
    is_cut = False
    async for message in messages:
        columns += message.columns
        rows += _decode_rows(message.rows)
        is_cut |= message.is_cut
    return Answer(columns, rows, is_cut)


async def joined(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of all parts, CHUNK_SIZE_BYTES at a time. A generator is closed with this one."""
    kept: list[bytes] = []
    size_bytes = 0
    try:
        async for part in parts:
            kept.append(part)
            size_bytes += len(part)
            if size_bytes < CHUNK_SIZE_BYTES:
                continue
            data = b"".join(kept)
            whole = size_bytes - size_bytes % CHUNK_SIZE_BYTES
            for begin in range(0, whole, CHUNK_SIZE_BYTES):
                yield data[begin : begin + CHUNK_SIZE_BYTES]
            kept, size_bytes = [data[whole:]], size_bytes - whole
        if size_bytes:
            yield b"".join(kept)
    finally:
        if isinstance(parts, AsyncGenerator):
            await parts.aclose()


def _parts(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield rows in lists that each have about CHUNK_SIZE_BYTES, or one row that has more."""
    part: list[bytes] = []
    size_bytes = 0
    for row in rows:
        if part and size_bytes + len(row) > CHUNK_SIZE_BYTES:
            yield part
            part, size_bytes = [], 0
        part.append(row)
        size_bytes += len(row)
    if part:
        yield part
