"""The first members of the directory, and what the settings say of them later.

GRAPH_SERVICE_ENDPOINTS seeds the members once: when there are none, each endpoint is asked which folder it has, and all
of them become members together. From then on the table counts, and where the settings differ from it that is said. A
folder that has graphs is no first member, listed or not: they are another database's, or of a time that this one has
lost, and nobody here knows their names.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, SettingError, ShardUnavailableError
from argosy.graph.facts import NOBODY, Member
from argosy.graph.line import LOOK_S
from argosy.graph.transport import Connect
from argosy.store.graph import Directory, ShardRow, ShardState

log = structlog.get_logger()

_PAUSE_S: Final = 0.5  # a shard that starts at the same time answers within seconds


class Found(NamedTuple):
    """What an endpoint answers."""

    member: Member
    has_graphs: bool


class Seed:
    """What a process that starts does about the members."""

    def __init__(self, directory: Directory, connect: Connect, clock: Clock) -> None:
        self._directory = directory
        self._connect = connect
        self._clock = clock

    async def settle(self, endpoints: Sequence[str], within_s: float) -> None:
        """Make the endpoints members if there are none, else say how they differ from the members.

        within_s: how long shards may take to answer while there are no members. Raises ShardUnavailableError (one does
        not answer, so nobody knows what it has), SettingError (one has graphs), StoreUnavailableError.
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
        found = await self.find(endpoints, within_s)
        members = [each.member for each in found]
        if full := [each.member.endpoint for each in found if each.has_graphs]:
            if await self._directory.shards():  # whoever was faster has made graphs since
                return False
            raise SettingError(
                f"GRAPH_SERVICE_ENDPOINTS: {', '.join(full)} has graphs of which this database knows nothing: start "
                "with the database that they were made with, or look at them with `argosy shards orphans`, which drops "
                "them when it is told to (--drop)"
            )
        if not await self._directory.seed(members):
            return False
        log.info(telemetry.SHARDS_SEEDED, shards={each.endpoint: str(each.member_id) for each in members})
        return True

    async def find(self, endpoints: Sequence[str], within_s: float) -> list[Found]:
        """Return what these endpoints of the settings answer. Raises ShardUnavailableError, SettingError."""
        return await find_shards(self._connect, endpoints, within_s, self._clock)

    async def find_one(self, endpoint: str, within_s: float) -> Found:
        """Return what any endpoint answers. Raises ShardUnavailableError."""
        return await _find(self._connect, endpoint, self._clock.monotonic_s() + within_s, self._clock)


async def find_shards(connect: Connect, endpoints: Sequence[str], within_s: float, clock: Clock) -> list[Found]:
    """Return what these endpoints of the settings answer. Raises ShardUnavailableError, SettingError."""
    until_s = clock.monotonic_s() + within_s
    try:
        found = await asyncio.gather(*(_find(connect, each, until_s, clock) for each in endpoints))
    except ShardUnavailableError as error:
        raise ShardUnavailableError(f"GRAPH_SERVICE_ENDPOINTS: {error}") from error
    if len({each.member.member_id for each in found}) < len(found) or len(set(endpoints)) < len(endpoints):
        raise SettingError("GRAPH_SERVICE_ENDPOINTS: two of them are one and the same shard")
    return found


async def _find(connect: Connect, endpoint: str, until_s: float, clock: Clock) -> Found:
    transport = connect.to(Member(NOBODY, endpoint))
    try:
        while True:
            try:
                member_id = await transport.identify(deadline_s=LOOK_S)
                has_graphs = bool(await transport.list(limit=1, deadline_s=LOOK_S))
                return Found(Member(member_id, endpoint), has_graphs)
            except ArgosyError as error:
                if clock.monotonic_s() + _PAUSE_S >= until_s:
                    raise ShardUnavailableError(f"the shard at {endpoint} does not say what it has: {error}") from error
            await clock.sleep(_PAUSE_S)
    finally:
        await transport.close()


class Listed:
    """The shards of the directory; while it has none, those that GRAPH_SERVICE_ENDPOINTS lists: for whoever looks what
    they have before they become members.
    """

    def __init__(self, directory: Directory, seed: Seed, endpoints: Sequence[str]) -> None:
        self._directory = directory
        self._seed = seed
        self._endpoints = endpoints

    async def shards(self) -> list[ShardRow]:
        """Return the shards. Raises ShardUnavailableError when one that is listed does not answer."""
        if rows := await self._directory.shards():
            return rows
        found = await self._seed.find(self._endpoints, 0.0)
        return [ShardRow(*each.member, ShardState.ACTIVE, datetime.max.replace(tzinfo=UTC)) for each in found]


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
