"""Which worker owns which partitions, according to Postgres, and how to wait until the fleet has settled."""

import asyncio
import time
import uuid
from typing import NamedTuple

import asyncpg

from bench.load import RefusedError

_OWNED = "SELECT partition, epoch, owner FROM argosy.partitions WHERE lane = 'default'"
_WORKERS = "SELECT worker_id, pid FROM argosy.workers WHERE kind = 'dispatch'"


class Ownership(NamedTuple):
    epoch: int
    owner: uuid.UUID | None


async def owned(database: asyncpg.Connection) -> dict[int, Ownership]:
    return {row["partition"]: Ownership(row["epoch"], row["owner"]) for row in await database.fetch(_OWNED)}


async def until_shared(database: asyncpg.Connection, pids: list[int], partitions: int, within_s: float = 60.0) -> None:
    """Return when these processes and no others own every partition, and nothing has changed for a second.

    Each must own at least half of its share. Raises RefusedError after within_s.
    """
    deadline = time.monotonic() + within_s
    before: dict[int, Ownership] = {}
    since = time.monotonic()
    while time.monotonic() < deadline:
        now = await owned(database)
        if now != before:
            before, since = now, time.monotonic()
        pid_of = {row["worker_id"]: row["pid"] for row in await database.fetch(_WORKERS)}
        shares = [sum(pid_of.get(each.owner) == pid for each in now.values()) for pid in pids]
        is_shared = sum(shares) == partitions and min(shares) >= partitions // len(pids) // 2
        if is_shared and time.monotonic() - since > 1.0:
            return
        await asyncio.sleep(0.05)
    raise RefusedError(f"partitions are not shared by {pids} after {within_s} s: {before}")
