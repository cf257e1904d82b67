"""The statements of the Postgres log. The caller brings the connection (argosy/store/pool.py, connect).

Raises: what asyncpg raises. What the failure of an append means is for the writer to judge.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from argosy.store.leader import refused
from argosy.store.queries import load_queries

_SQL: Final = load_queries("log")
_TRIM_ROWS: Final = 2_000  # per statement, so that an append waits for it a few milliseconds at most
_TRIM_STATEMENTS: Final = 20  # per call


class Fetched(NamedTuple):
    """A record as it is stored. headers: msgpack, or None when there are none."""

    partition: int
    position: int
    at_ms: int
    key: bytes
    value: bytes
    headers: bytes | None


class MemberRound(NamedTuple):
    """What a member's round found. topic_id: None when there is no such topic. held: the partitions that it holds.
    is_settled: it holds all that are its own.
    """

    topic_id: uuid.UUID | None
    held: list[int] | None
    is_settled: bool | None


async def append(
    connection: Any,
    topic: str,
    partitions: Sequence[int],
    keys: Sequence[bytes],
    values: Sequence[bytes],
    headers: Sequence[bytes | None],
    timeout_s: float,
) -> list[int | None]:
    """Append records and return their positions in the order given; None for a partition that does not exist.

    Either all other records are appended or none.
    """
    found: list[int | None] = await connection.fetchval(
        _SQL["append"], topic, partitions, keys, values, headers, timeout=timeout_s
    )
    return found


async def fetch(
    connection: Any, topic_id: uuid.UUID, starts: dict[int, int], rows_max: int, size_bytes_max: int
) -> list[Fetched]:
    """Return records from `starts` (partition → position) on, in order within each partition.

    The partitions come in the order of `starts`.
    """
    rows = await connection.fetch(
        _SQL["fetch"], topic_id, list(starts), list(starts.values()), rows_max, size_bytes_max
    )
    return [Fetched(*row) for row in rows]


async def get_identity(connection: Any, topic: str) -> tuple[uuid.UUID, uuid.UUID, int] | None:
    """Return (cluster_id, topic_id, partition_count), or None when there is no such topic."""
    row = await connection.fetchrow(_SQL["get_identity"], topic)
    return None if row is None else (row[0], row[1], row[2])


async def list_spans(connection: Any, topic: str, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return (begin, end) of each partition that exists."""
    return {row[0]: (row[1], row[2]) for row in await connection.fetch(_SQL["list_spans"], topic, partitions)}


async def make_topic(connection: Any, topic: str, partition_count: int) -> int:
    """Create the topic unless it exists. Returns how many partitions it has."""
    found: int = await connection.fetchval(_SQL["make_topic"], topic, partition_count)
    return found


async def trim(connection: Any, topic: str, partition: int, position: int) -> bool:
    """Delete the records before `position`, in small transactions. False when there were too many for one call."""
    return await _trim(connection, "trim", (topic, partition), position)


async def trim_as(connection: Any, role: str, term: int, topic_id: uuid.UUID, partition: int, position: int) -> bool:
    """Trim a topic, named by its id, under a term. Raises OwnershipLostError, StoreUnavailableError."""
    try:
        return await _trim(connection, "trim_as", (role, term, topic_id, partition), position)
    except asyncpg.PostgresError as error:
        raise refused(error) from error


async def _trim(connection: Any, statement: str, what: tuple[Any, ...], position: int) -> bool:
    before = -1
    for _ in range(_TRIM_STATEMENTS):
        begin = await connection.fetchval(_SQL[statement], *what, position, _TRIM_ROWS)
        if begin is None or begin == before or begin >= position:
            return True
        before = begin
    return False


async def run_round(connection: Any, topic: str, member_id: uuid.UUID, ttl_s: float) -> MemberRound:
    """Say that the member lives for ttl_s more seconds, and return what it may read. ttl_s 0: the member leaves."""
    return MemberRound(*await connection.fetchrow(_SQL["run_round"], topic, member_id, ttl_s))


async def measure(connection: Any, topic: str) -> tuple[int, int]:
    """Return the number of records of this topic, and the bytes on disk of all topics."""
    row = await connection.fetchrow(_SQL["measure"], topic)
    return int(row[0]), int(row[1])
