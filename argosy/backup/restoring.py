"""Restores a backup to an empty database and to shards without graphs.

Rules:
- Nothing is touched before every checksum was found right.
- The database becomes visible in one commit, with a lineage that was never there, without a token that is in force (it
  has forgotten which were revoked), with today's shards, and with every graph in a generation that no shard has seen.
  So nothing that still comes from the time before can write to it.
- The keys that its payloads need are loaded in the same commit, from the file that was named (keys.py). Those that are
  not there any more stay so.
- Each graph is there once its shard has all of it. A restore that was killed goes on when it is asked for again.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from argosy.backup.database import load
from argosy.backup.keys import ChosenKeys
from argosy.backup.manifest import Manifest, check_files, read_manifest, sum_of_manifest
from argosy.backup.slots import for_each
from argosy.errors import SettingError, WrongOwnerError
from argosy.graph.facts import GraphState, Member
from argosy.graph.placement import place
from argosy.graph.seed import Found
from argosy.graph.snapshot import Snapshot, send_snapshot
from argosy.graph.transport import Connect, Transport
from argosy.store.backup import BackupRow, Left, RestoreRows, note_backup, restoring, settling
from argosy.store.migrate import migrate

_ASK_S: Final = 10.0


class Restoring:
    """One restore. at_once: graphs at the same time. graph_s: how long one may take. keep_tokens: see settling."""

    def __init__(self, folder: Path, *, at_once: int, graph_s: float, keep_tokens: bool = False) -> None:
        """Raises GraphInputError when the folder has no whole backup."""
        self.manifest: Final = read_manifest(folder)
        self._folder = folder
        self._at_once = at_once
        self._graph_s = graph_s
        self._keep_tokens = keep_tokens

    async def check(self) -> None:
        """Raise GraphInputError unless every file is what was written."""
        await asyncio.to_thread(check_files, self._folder, self.manifest)

    async def restore(self, dsn: str, connect: Connect, shards: Sequence[Found], keys: ChosenKeys) -> int:
        """Restore it; how many graphs were restored now. connect: reaches the shards, which are the members from now
        on. keys: as they were chosen for it. Raises SettingError when the database or a shard is in use.
        """
        async with restoring(dsn) as rows:
            if not await rows.begin(self.manifest.backup_id):
                await self._load(dsn, rows, shards, keys)
            await migrate(dsn)
            left = await rows.left()
            await self._all(rows, connect, left)
            await self._note(dsn)
            await rows.finish()
            return len(left)

    async def _note(self, dsn: str) -> None:
        """Note in the database that this backup is there: it was dumped before anybody could."""
        made, place = self.manifest, str(self._folder.resolve())
        sha256 = await asyncio.to_thread(sum_of_manifest, self._folder)
        noted = BackupRow(made.backup_id, made.made_at, place, len(made.graphs), made.where_keys_are)
        await note_backup(dsn, noted, sha256)

    async def _load(self, dsn: str, rows: RestoreRows, shards: Sequence[Found], keys: ChosenKeys) -> None:
        _check_shards(self.manifest, shards)
        members = [each.member for each in shards]
        ids = [each.member_id for each in members]
        places = [
            (each.tenant, each.graph, each.incarnation, place(ids, each.tenant, each.graph))
            for each in self.manifest.graphs
        ]
        await rows.put_places(members, places)
        if keys.keys is not None:
            await rows.put_keys(keys.keys)
        settled = settling(keep_tokens=self._keep_tokens, has_keys=keys.keys is not None)
        await load(dsn, rows.server_major, self._folder / self.manifest.database.path, settled)

    async def _all(self, rows: RestoreRows, connect: Connect, left: Sequence[Left]) -> None:
        files = {each.incarnation: self._folder / each.file.path for each in self.manifest.graphs}
        transports = _Transports(connect)
        noting = asyncio.Lock()  # one connection

        async def one(each: Left) -> None:
            await self._send(transports.to(each.member), each, files[each.ref.incarnation])
            async with noting:
                await rows.restored(each.ref)

        try:
            await for_each(left, one, self._at_once)
        finally:
            await transports.close()

    async def _send(self, shard: Transport, left: Left, path: Path) -> None:
        try:
            if (await shard.stats(left.ref, deadline_s=_ASK_S)).state is GraphState.ACTIVE:
                return  # by the restore that was killed
        except WrongOwnerError:
            pass
        try:
            await send_snapshot(shard.copies, left.ref, Snapshot(path), deadline_s=self._graph_s)
        except WrongOwnerError as error:
            raise SettingError(
                f"graph {left.ref.graph!r} of {left.ref.tenant!r}: {left.member.endpoint} has had it in a "
                f"newer generation ({error}), as after a restore by an older version. Restore again, to an empty "
                "database and to shards with new folders"
            ) from error


class _Transports:
    """One for each member."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._opened: dict[Member, Transport] = {}

    def to(self, member: Member) -> Transport:
        if member not in self._opened:
            self._opened[member] = self._connect.to(member)
        return self._opened[member]

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self._opened.values()))


def _check_shards(manifest: Manifest, shards: Sequence[Found]) -> None:
    if manifest.graphs and not shards:
        raise SettingError(
            f"the backup has {len(manifest.graphs)} graphs, and there is no shard: start `argosy shard` on a new "
            "folder, and name it in GRAPH_SERVICE_ENDPOINTS"
        )
    if full := [each.member.endpoint for each in shards if each.has_graphs]:
        raise SettingError(f"shards have graphs already: {', '.join(full)}. Restore to shards with new folders")
