"""What tests of copies have in common: a graph goes from one engine to another, part by part."""

import hashlib
import uuid
from collections.abc import Iterable

from argosy.graph.copies import CopyPart, CopySums
from argosy.graph.facts import GraphRef
from argosy.shards.engine import Engine, GraphCopy
from tests.shards.engines import never

WAL_SIZE_BYTES_MAX = 1_073_741_824


def begin_copy(engine: Engine, ref: GraphRef, wal_size_bytes_max: int = WAL_SIZE_BYTES_MAX) -> GraphCopy:
    return engine.graph(ref).begin_copy(ref, wal_size_bytes_max, never)


def take_all(
    engine: Engine, ref: GraphRef, copy_id: uuid.UUID, parts: Iterable[CopyPart], *, is_tail: bool = False
) -> CopyPart:
    """Give an engine all parts, and return the last one."""
    for part in parts:
        last = part
        engine.landings.take(ref, copy_id, part, is_tail=is_tail)
    return last


def send(
    copy: GraphCopy, ref: GraphRef, target: Engine, copy_id: uuid.UUID, source: GraphRef | None = None
) -> CopySums:
    """Send all of a copy, as far as it is not there. source: the graph that is copied, when it is to be another one."""
    source = source or ref
    received = target.landings.received(ref, copy_id)
    base = take_all(target, ref, copy_id, copy.base(source, 0))
    tail = take_all(target, ref, copy_id, copy.tail(source, received.tail_size_bytes), is_tail=True)
    return CopySums(base.sha256, tail.size_bytes, tail.sha256)


def contents(engine: Engine, ref: GraphRef) -> list[bytes]:
    """Return everything that a graph has, keys and tokens too, as an export has it; but not which generation it is."""
    _, *lines, _ = engine.graph(ref).export(ref)
    return lines


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
