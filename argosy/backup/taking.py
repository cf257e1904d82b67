"""Takes a backup of an installation, while it works: the database first, then every graph.

So a graph is never behind the database. That one is ahead is what keys, tokens and feeds are for: what the log says
again was done is known there.

The keys of tenants are not in it: they are written to a file of their own, kept elsewhere (keys.py).
"""

import asyncio
import shutil
import uuid
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from argosy.backup.checked import sealed, sync_folder
from argosy.backup.database import dump
from argosy.backup.keys import needed_of, write_keys
from argosy.backup.manifest import (
    FORMAT,
    MANIFEST,
    FileSum,
    GraphFile,
    LogPositions,
    Manifest,
    MissingGraph,
    sum_of,
    write_manifest,
)
from argosy.backup.pace import Throttle
from argosy.backup.slots import for_each
from argosy.clock import Clock
from argosy.errors import (
    CopyBrokenError,
    GraphDeadlineError,
    SettingError,
    ShardUnavailableError,
    UnavailableError,
    WrongOwnerError,
)
from argosy.graph.facts import GraphName
from argosy.graph.members import Members
from argosy.graph.snapshot import write_snapshot
from argosy.store.backup import BackupRow, Exported, exported, note_backup
from argosy.store.graph import Directory, GraphRow, GraphRowState

_AGAIN_S: Final = 1.0  # a graph that moves has arrived by then, as a rule
_PASSING: Final = (CopyBrokenError, GraphDeadlineError, ShardUnavailableError, WrongOwnerError)


class Bounds(NamedTuple):
    """at_once: graphs that are copied at the same time. graph_s: how long one may take. trim_lag_s: TRIM_LAG_S."""

    at_once: int
    graph_s: float
    trim_lag_s: float


class Taking:
    """One backup."""

    def __init__(
        self, directory: Directory, members: Members, clock: Clock, throttle: Throttle, bounds: Bounds
    ) -> None:
        self._directory = directory
        self._members = members
        self._clock = clock
        self._throttle = throttle
        self._bounds = bounds

    async def take(self, dsn: str, folder: Path, keys: Path | None = None, *, is_without: bool = False) -> Manifest:
        """Take a backup. keys: where the keys of tenants go; is_without: they are meant to go nowhere. Raises
        SettingError when the folder has anything but an unfinished one, or payloads are sealed and neither is said, or
        keys would be lost (write_keys).
        """
        async with exported(dsn) as database:
            _check_keys(database, folder, keys, is_without=is_without)
            _prepare(folder)
            if keys is not None:
                await asyncio.to_thread(write_keys, keys, database.keys)
            await dump(dsn, database.server_major, database.snapshot_id, folder / "database.dump")
        dumped = await asyncio.to_thread(sum_of, folder, folder / "database.dump")
        found = await self._all(database, folder / "graphs")
        manifest = sealed(_manifest(database, dumped, found, self._bounds.trim_lag_s))
        sha256 = await asyncio.to_thread(write_manifest, folder, manifest)
        place = str(await asyncio.to_thread(folder.resolve))
        noted = BackupRow(manifest.backup_id, manifest.made_at, place, len(manifest.graphs), manifest.where_keys_are)
        await note_backup(dsn, noted, sha256)
        return manifest

    async def _all(self, database: Exported, folder: Path) -> list[GraphFile | MissingGraph]:
        async def one(each: tuple[str, str, uuid.UUID]) -> GraphFile | MissingGraph:
            tenant, graph, incarnation = each
            path = folder / f"{incarnation.hex}.argosy"
            if not await self._copied(GraphName(tenant, graph), incarnation, path):
                await asyncio.to_thread(path.unlink, missing_ok=True)
                return MissingGraph(tenant, graph, incarnation)
            return GraphFile(tenant, graph, incarnation, await asyncio.to_thread(sum_of, folder.parent, path))

        found = await for_each(database.graphs, one, self._bounds.at_once)
        sync_folder(folder)
        return found

    async def _copied(self, name: GraphName, incarnation: uuid.UUID, path: Path) -> bool:
        """Copy a graph, wherever it is by now; False when it was dropped."""
        until_s = self._clock.monotonic_s() + self._bounds.graph_s
        while True:
            row = await self._directory.find(*name)
            if row is None or row.incarnation != incarnation or row.state is GraphRowState.DROPPING:
                return False
            try:
                await self._copy(row, path, until_s - self._clock.monotonic_s())
                return True
            except _PASSING as error:
                if self._clock.monotonic_s() + _AGAIN_S >= until_s:
                    raise UnavailableError(f"graph {name.graph!r} of {name.tenant!r}: {error}") from error
            await self._clock.sleep(_AGAIN_S)

    async def _copy(self, row: GraphRow, path: Path, left_s: float) -> None:
        line = await self._members.line(row.shard)
        with path.open("wb") as file:
            await write_snapshot(line.transport.copies, row.ref, file, deadline_s=left_s, pace=self._throttle)


def _check_keys(database: Exported, folder: Path, keys: Path | None, *, is_without: bool) -> None:
    if keys is None:
        if not is_without and needed_of(database.keys.keys):
            raise SettingError(
                "payloads are sealed, and a backup does not have the keys of tenants: name a file for them, kept "
                "elsewhere (--keys FILE), or say --without-keys (`argosy keys write` writes them at any time)"
            )
    elif folder.resolve() in keys.resolve().parents:
        raise SettingError(f"{keys} is in the backup's folder: a deleted tenant's keys would stay with its payloads")


def _prepare(folder: Path) -> None:
    """Make the folder, or empty it of a backup that was not finished."""
    if (folder / MANIFEST).exists():
        raise SettingError(f"{folder} has a backup: name another folder")
    shutil.rmtree(folder / "graphs", ignore_errors=True)
    (folder / "graphs").mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)


def _manifest(
    database: Exported, dumped: FileSum, found: list[GraphFile | MissingGraph], trim_lag_s: float
) -> Manifest:
    logs = [
        LogPositions(each.lane, each.log_id, each.topic, dict(zip(each.partitions, each.positions, strict=True)))
        for each in database.logs
    ]
    return Manifest(
        format=FORMAT,
        backup_id=uuid.uuid4(),
        argosy=version("argosy"),
        made_at=database.at,
        readable_until=database.at + timedelta(seconds=trim_lag_s),
        lineage=database.lineage,
        database=dumped,
        logs=logs,
        graphs=[each for each in found if isinstance(each, GraphFile)],
        missing=[each for each in found if isinstance(each, MissingGraph)],
        installation=database.keys.installation,
        keys=needed_of(database.keys.keys),
    )
