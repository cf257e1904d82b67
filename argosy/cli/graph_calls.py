"""What the commands about graphs ask, directly: the directory in Postgres, and the shards over gRPC.

They, and those about shards (shard_calls.py), seed no members, and wait for none. Every function returns what is shown,
as JSON has it.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar

import msgspec

from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.graph.acl import decode_acl
from argosy.graph.asker import FLEET
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.seed import Listed, Seed
from argosy.graph.snapshot import Snapshot, is_snapshot
from argosy.graph.transports.connect import connect_to_shards
from argosy.local.postgres import EmbeddedPostgres
from argosy.local.postgres_cluster import live_server
from argosy.seal.master import MasterKeys
from argosy.store.audit import Act, audit
from argosy.store.graph import Directory, GraphRow
from argosy.store.pool import Pool, open_pool
from argosy.store.sealing import seal_payloads

T = TypeVar("T")
ACL_SET: Final = "graph.acl"
Shown = dict[str, Any]


class Opened(NamedTuple):
    """listed: the members; while there are none, the shards that GRAPH_SERVICE_ENDPOINTS lists."""

    pool: Pool
    seed: Seed
    directory: Directory
    members: Members
    listed: Members
    graphs: Graphs


def run(settings: Settings, dsn: str, work: Callable[[Opened], Awaitable[T]], masters: MasterKeys | None = None) -> T:
    """Return what `work` comes to. masters: for what it reads of sealed graphs, or writes to them."""

    async def opened_and_asked() -> T:
        async with _open(settings, dsn, masters) as opened:
            return await work(opened)

    return asyncio.run(opened_and_asked())


def running_dsn(settings: Settings) -> str:
    """Return the address of the user's Postgres, or of the one that `argosy up` runs here; empty when there is none."""
    if settings.state_db_uri:
        return settings.state_db_uri
    folder = settings.argosy_data_dir / "postgres"
    return EmbeddedPostgres(folder).dsn if live_server(folder / "data") else ""


async def graphs(opened: Opened, tenant: str, after: str, limit: int) -> list[Shown]:
    return [_shown(row) for row in await opened.graphs.list(tenant, after, limit)]


async def stats(opened: Opened, tenant: str, graph: str) -> Shown:
    row = await opened.graphs.find(tenant, graph)
    found = await opened.graphs.of(tenant, graph, asker=FLEET).stats()
    return _shown(row) | {
        "nodes": found.node_count,
        "edges": found.edge_count,
        "version": found.version,
        "size_bytes": found.size_bytes,
        "wal_size_bytes": found.wal_size_bytes,
    }


async def query(opened: Opened, tenant: str, graph: str, asked: "Query") -> Shown:
    found = opened.graphs.of(tenant, graph, asker=FLEET)
    answer = await found.query(asked.cypher, asked.params, row_limit=asked.limit, deadline_s=asked.timeout_s)
    return {"columns": answer.columns, "rows": answer.rows, "is_cut": answer.is_cut}


async def show_acl(opened: Opened, tenant: str, graph: str) -> Shown | None:
    """Return the graph's access control list."""
    found = (await opened.graphs.of(tenant, graph, asker=FLEET).get_acl()).acl
    return None if found is None else msgspec.to_builtins(found)


async def set_acl(opened: Opened, tenant: str, graph: str, acl: str) -> Shown | None:
    """Set the graph's access control list, JSON; empty: remove it."""
    made = decode_acl(acl.encode()) if acl else None
    found = opened.graphs.of(tenant, graph, asker=FLEET)
    await found.set_acl(made)
    await audit(opened.pool, Act("local", "argosy graph", None, tenant, ACL_SET, f"{graph}: {acl or None}"))
    return await show_acl(opened, tenant, graph)


class Query(NamedTuple):
    cypher: str
    params: Shown
    limit: int
    timeout_s: float


class Wanted(NamedTuple):
    """A graph that is to be copied to a file. output: None: to stdout. is_native: as a snapshot, and not as lines."""

    tenant: str
    graph: str
    output: Path | None
    is_native: bool
    timeout_s: float


async def export(opened: Opened, wanted: Wanted) -> None:
    """Write a copy to a file, which is there once it is whole, or to stdout."""
    if (output := wanted.output) is None:
        await _write(opened, wanted, sys.stdout.buffer)
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            await _write(opened, wanted, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


async def _write(opened: Opened, wanted: Wanted, file: BinaryIO) -> None:
    tenant, graph, _, is_native, timeout_s = wanted
    if is_native:
        await opened.graphs.snapshot(tenant, graph, file, deadline_s=timeout_s)
        return
    async for line in opened.graphs.of(tenant, graph, asker=FLEET).export(deadline_s=timeout_s):
        file.write(line)


async def restore(
    opened: Opened, tenant: str, graph: str, source: Path, timeout_s: float, is_sealed: bool | None = None
) -> Shown:
    """Make a graph of a file, whichever kind of copy it is. is_sealed: of one of lines."""
    if is_snapshot(source):
        if is_sealed is not None:
            raise SettingError(f"{source} is a snapshot: its graph is sealed as the one that was copied, or is not")
        snapshot = Snapshot(source)
        await asyncio.to_thread(snapshot.check)
        return _shown(await opened.graphs.receive(tenant, graph, snapshot, deadline_s=timeout_s))

    async def lines() -> AsyncIterator[bytes]:
        with source.open("rb") as file:
            for line in file:
                yield line

    return _shown(await opened.graphs.restore(tenant, graph, lines(), deadline_s=timeout_s, is_sealed=is_sealed))


def _shown(row: GraphRow) -> Shown:
    return {
        "tenant": row.tenant,
        "graph": row.graph,
        "shard": str(row.shard),
        "incarnation": str(row.incarnation),
        "generation": row.generation,
        "state": row.state,
        "session_id": None if row.session_id is None else str(row.session_id),
        "expires_at": None if row.expires_at is None else row.expires_at.isoformat(),
        "created_at": row.created_at.isoformat(),
        "sealed": row.is_sealed,
    }


@asynccontextmanager
async def _open(settings: Settings, dsn: str, masters: MasterKeys | None) -> AsyncIterator[Opened]:
    clock = SystemClock()
    connect = connect_to_shards(settings, clock)
    async with open_pool(settings, dsn) as pool:
        seal_payloads(pool, masters, clock, settings)
        directory = Directory(pool)
        members = Members(directory, connect, settings, clock)
        seed = Seed(directory, connect, clock)
        table = Listed(directory, seed, settings.graph_service_endpoints)
        listed = Members(table, connect, settings, clock)
        try:
            yield Opened(pool, seed, directory, members, listed, Graphs(directory, members, settings, clock))
        finally:
            await asyncio.gather(members.close(), listed.close())
