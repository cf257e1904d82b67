"""What a backup reads of the database, and what a restore writes to it beside the dump.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import asyncpg

from argosy.errors import SettingError
from argosy.graph.facts import GraphRef, Member
from argosy.store.patience import when_ready
from argosy.store.pool import UNAVAILABLE, connect, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("backup")
_RAISE: Final = load_queries("migration")["raise_restores"]
_LOCK: Final = 0x6172676F5F727374  # of restores to one database: one at a time


class LogRead(NamedTuple):
    """How far a log was read. topic: None: not known any more."""

    lane: str
    log_id: str
    topic: str | None
    partitions: list[int]
    positions: list[int]


class KeyCopy(NamedTuple):
    """A key of a tenant as it stands in `tenant_keys`. master, wrapped: None once it was destroyed."""

    tenant: str
    key_id: int
    is_digest: bool
    master: str | None
    wrapped: bytes | None
    created_at: datetime
    destroyed_at: datetime | None


class KeysRead(NamedTuple):
    """The keys of all tenants at one moment. installation: whose they are, the same after a restore. restores: another
    number after each restore.
    """

    installation: str
    restores: int
    at: datetime
    keys: list[KeyCopy]


class Exported(NamedTuple):
    """The database at one moment, which others can read under snapshot_id. server_major: of Postgres."""

    snapshot_id: str
    lineage: int
    server_major: int
    at: datetime
    logs: list[LogRead]
    graphs: list[tuple[str, str, uuid.UUID]]
    keys: KeysRead


class Left(NamedTuple):
    """A graph that is still to be restored, and where."""

    ref: GraphRef
    member: Member


@asynccontextmanager
async def exported(dsn: str) -> AsyncIterator[Exported]:
    """Give the database as it is now, for as long as the block lasts."""
    async with _connected(dsn, "argosy backup") as connection, connection.transaction(isolation="repeatable_read"):
        await connection.execute(_SQL["keep_open"])
        snapshot_id, lineage, major, at = await connection.fetchrow(_SQL["export_snapshot"])
        logs = [LogRead(*row) for row in await connection.fetch(_SQL["list_logs"])]
        graphs = [(row[0], row[1], row[2]) for row in await connection.fetch(_SQL["list_graphs"])]
        yield Exported(snapshot_id, lineage, major, at, logs, graphs, await _keys(connection))


async def read_keys(dsn: str) -> KeysRead:
    """Return the keys of all tenants, as they are wrapped now."""
    async with (
        _connected(dsn, "argosy keys") as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        return await _keys(connection)


async def _keys(connection: Any) -> KeysRead:
    installation, restores, at = await connection.fetchrow(_SQL["find_installation"])
    return KeysRead(installation, restores, at, [KeyCopy(*row) for row in await connection.fetch(_SQL["list_keys"])])


class BackupKeys(StrEnum):
    """Where the keys are that the payloads of a backup need."""

    APART = "apart"  # in a file of their own, or nowhere
    NONE = "none"  # it needs none


class BackupRow(NamedTuple):
    """A backup that is still there, as far as anybody has said. place: where it was written. keys: None: in its dump,
    if it needs any.
    """

    backup_id: uuid.UUID
    made_at: datetime
    place: str
    graphs: int
    keys: BackupKeys | None


async def note_backup(dsn: str, backup: BackupRow, sha256: bytes) -> None:
    """Note that there is a backup: an erasure names it. sha256: of its manifest."""
    async with _connected(dsn, "argosy backup") as connection:
        await connection.execute(_SQL["insert_backup"], *backup, sha256)


async def list_backups(dsn: str, limit: int) -> list[BackupRow]:
    """Return at most `limit` backups that are still there, the newest first."""
    async with _connected(dsn, "argosy backups") as connection:
        rows = await connection.fetch(_SQL["list_backups"], limit)
        return [BackupRow(row[0], row[1], row[2], row[3], row[4] and BackupKeys(row[4])) for row in rows]


async def note_gone(dsn: str, backup_id: uuid.UUID) -> bool:
    """Note that a backup was deleted; whether it was known."""
    async with _connected(dsn, "argosy backups") as connection:
        return bool(await connection.fetchval(_SQL["note_gone"], backup_id))


def settling(*, keep_tokens: bool, has_keys: bool) -> str:
    """Return what is done in the transaction that loads a dump, behind it.

    keep_tokens: tokens stay in force, those that were revoked since the backup, too. has_keys: keys of tenants were put
    beside the dump, and are those that count.
    """
    revoke = "" if keep_tokens else _SQL["revoke_loaded"]
    keys = _SQL["settle_keys"] if has_keys else ""
    return f"SET search_path TO argosy;\n{_RAISE};\n{revoke}\n{keys}\n{_SQL['settle_restored']}"


class RestoreRows:
    """What the database says of the restore to it. Made by `restoring`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def begin(self, backup_id: uuid.UUID) -> bool:
        """Begin a restore, or go on with this one; whether the dump is loaded. Raises SettingError when the database is
        in use, or another restore has begun.
        """
        is_ours, has_begun = await self._connection.fetchrow(_SQL["find_restore"])
        if not has_begun:
            if is_ours:
                raise SettingError(
                    "the database has a schema argosy: restore to an empty database. Nothing was changed"
                )
            async with self._connection.transaction():
                await self._connection.execute(_SQL["begin_restore"])
                await self._connection.execute(_SQL["insert_progress"], backup_id)
            return False
        begun, is_loaded = await self._connection.fetchrow(_SQL["read_progress"])
        if begun != backup_id:
            raise SettingError(f"the restore of another backup ({begun}) to this database has begun: finish that one")
        return bool(is_loaded)

    async def put_places(
        self, members: Sequence[Member], places: Sequence[tuple[str, str, uuid.UUID, uuid.UUID]]
    ) -> None:
        """Note where the graphs are to come. places: tenant, graph, incarnation and member."""
        async with self._connection.transaction():
            await self._connection.execute(_SQL["clear_places"])
            if members:
                await self._connection.execute(_SQL["insert_members"], *map(list, zip(*members, strict=True)))
            if places:
                await self._connection.execute(_SQL["insert_graphs"], *map(list, zip(*places, strict=True)))

    async def put_keys(self, keys: Sequence[KeyCopy]) -> None:
        """Put the keys of tenants beside the dump."""
        async with self._connection.transaction():
            await self._connection.execute(_SQL["make_keys"])
            if keys:
                await self._connection.execute(_SQL["insert_keys"], *map(list, zip(*keys, strict=True)))

    async def left(self) -> list[Left]:
        rows = await self._connection.fetch(_SQL["list_left"])
        return [Left(GraphRef(*row[:4]), Member(*row[4:])) for row in rows]

    async def restored(self, ref: GraphRef) -> None:
        await self._connection.execute(_SQL["note_restored"], *ref[:3])

    async def finish(self) -> None:
        await self._connection.execute(_SQL["finish_restore"])

    @property
    def server_major(self) -> int:
        return int(self._connection.get_server_version().major)


@asynccontextmanager
async def restoring(dsn: str) -> AsyncIterator[RestoreRows]:
    """Give the database to restore to, which is this process's alone for that. Raises SettingError."""
    async with _connected(dsn, "argosy restore") as connection:
        if not await connection.fetchval(_SQL["try_lock"], _LOCK):
            raise SettingError("another process restores to this database")
        yield RestoreRows(connection)


@asynccontextmanager
async def _connected(dsn: str, application: str) -> AsyncIterator[Any]:
    connection = await when_ready(lambda: connect(dsn, application=application))
    try:
        yield connection
    except UNAVAILABLE as error:
        raise unavailable(error) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise SettingError(f"STATE_DB_URI: this user may not do that: {error}") from error
    finally:
        connection.terminate()
