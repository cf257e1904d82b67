"""The operations that feeds, uploads and bulk loads bring, and the lines that they are."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

import msgspec

from argosy.graph.ops import Op, UpsertEdge, UpsertNode

LOAD_OPS: Final = 1_000  # of one part of a bulk load
_BLOCK_LINES: Final = 500  # some 50 KB

_encode: Final = msgspec.json.Encoder().encode


def nodes(count: int) -> list[Op]:
    return [
        UpsertNode(f"n{n:07}", "Person", {"name": f"Person number {n}", "born": 1900 + n % 100}) for n in range(count)
    ]


def mixed(count: int) -> list[Op]:
    """Every second one is an edge from the node before to one that is there."""
    ops: list[Op] = []
    for n in range(count // 2):
        ops.append(UpsertNode(f"n{n:07}", "Person", {"name": f"Person number {n}", "born": 1900 + n % 100}))
        ops.append(UpsertEdge(f"n{n:07}", "KNOWS", f"n{max(0, n - 500):07}", {"since": n}))
    return ops


def lines_of(ops: Sequence[Op]) -> list[bytes]:
    """Return the lines, without their ends."""
    return [_encode(op) for op in ops]


def blocks_of(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield what is sent at once: some whole lines, with their ends."""
    for first in range(0, len(lines), _BLOCK_LINES):
        yield b"\n".join(lines[first : first + _BLOCK_LINES]) + b"\n"


async def parts_of(ops: Sequence[Op]) -> AsyncIterator[Sequence[Op]]:
    """Yield the parts of a bulk load."""
    for first in range(0, len(ops), LOAD_OPS):
        yield ops[first : first + LOAD_OPS]
