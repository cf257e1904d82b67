"""The first members of the directory, and what the settings say of them later.

GRAPH_SERVICE_ENDPOINTS seeds the members once: when there are none, each endpoint is asked which folder it has, and all
of them become members together. From then on the table counts, and where the settings differ from it that is said.
"""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, SettingError, ShardUnavailableError
from argosy.graph.facts import NOBODY, Member
from argosy.graph.line import LOOK_S
from argosy.graph.transport import Connect
from argosy.store.graph import Directory

log = structlog.get_logger()

_PAUSE_S: Final = 0.5  # a shard that starts at the same time answers within seconds


class Seed:
    """What a process that starts does about the members."""

    def __init__(self, directory: Directory, connect: Connect, clock: Clock) -> None:
        self._directory = directory
        self._connect = connect
        self._clock = clock

    async def settle(self, endpoints: Sequence[str], within_s: float) -> None:
        """Make the endpoints members if there are none, else say how they differ from the members.

        within_s: how long shards may take to answer while there are no members. Raises ShardUnavailableError (one does
        not answer, so nobody knows what it has), SettingError, StoreUnavailableError.
        """
        if not endpoints or await self._is_first(endpoints, within_s):
            return
        known = {row.endpoint for row in await self._directory.shards()}
        if known != set(endpoints):
            log.warning(
                telemetry.SHARDS_DIFFER,
                only_in_settings=sorted(set(endpoints) - known),
                only_in_database=sorted(known - set(endpoints)),
                consequence="the database counts: GRAPH_SERVICE_ENDPOINTS makes the first members, and adds none",
            )

    async def _is_first(self, endpoints: Sequence[str], within_s: float) -> bool:
        """Make the endpoints members if there are none; whether that was done."""
        if await self._directory.shards():
            return False
        members = await self._first(endpoints, within_s)
        if not await self._directory.seed(members):
            return False
        log.info(telemetry.SHARDS_SEEDED, shards={each.endpoint: str(each.member_id) for each in members})
        return True

    async def _first(self, endpoints: Sequence[str], within_s: float) -> list[Member]:
        until_s = self._clock.monotonic_s() + within_s
        found = await asyncio.gather(*(self._identify(each, until_s) for each in endpoints))
        members = [Member(member_id, endpoint) for member_id, endpoint in zip(found, endpoints, strict=True)]
        if len(set(found)) < len(found) or len(set(endpoints)) < len(endpoints):
            raise SettingError("GRAPH_SERVICE_ENDPOINTS: two of them are one and the same shard")
        return members

    async def _identify(self, endpoint: str, until_s: float) -> uuid.UUID:
        transport = self._connect.to(Member(NOBODY, endpoint))
        try:
            while True:
                try:
                    return await transport.identify(deadline_s=LOOK_S)
                except ArgosyError as error:
                    if self._clock.monotonic_s() + _PAUSE_S >= until_s:
                        raise ShardUnavailableError(
                            f"GRAPH_SERVICE_ENDPOINTS: the shard at {endpoint} does not say what it has: {error}"
                        ) from error
                await self._clock.sleep(_PAUSE_S)
        finally:
            await transport.close()


async def settle_own(directory: Directory, own: Member, graphs_in: Path | None) -> bool:
    """Make a shard that its fleet brings itself the first member, or note where it answers now.

    graphs_in: its folder, if that has graphs. Return whether it is a member then. It is none where others are and do
    not include its folder: the disk is new, or another database's. Raises StoreUnavailableError, and SettingError when
    it would be the first member and has graphs: they are another database's, which this one would take for orphans.
    """
    if graphs_in is not None and not await directory.shards():
        raise SettingError(
            f"{graphs_in} has graphs of which this database knows nothing: start with the database that they were made "
            "with, or move the folder away to begin without them"
        )
    if await directory.seed([own]):
        return True
    if own.member_id not in {row.member_id for row in await directory.shards()}:
        return False
    await directory.move_shard(own)
    return True
