"""What is left of tenants' limits for all gateways together. The rules: functions/limits.sql.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("limits")


class Used(NamedTuple):
    """What a gateway tells of one kind of request of a tenant. per_s, room: of the limit. used: let through since it
    was told before. asked: came since. fresh: came lately, older ones counting less.
    """

    tenant: str
    kind: str
    per_s: float
    room: float
    used: int
    asked: int
    fresh: float


class Open(NamedTuple):
    """What a gateway tells of a tenant's streams. opened: there. most: that all gateways may have."""

    tenant: str
    opened: int
    most: int


class Left(NamedTuple):
    """level: what all gateways together may let through at once; less than 0: it is owed. share: of who asked."""

    level: float
    share: float


class Settled(NamedTuple):
    """gateways: that were heard of lately, the one that asks among them. place: its place among them, from 0 on; it
    moves on each second. left: in the order of what was told. streams: how many the one that asks may have open.
    """

    gateways: int
    place: int
    left: Sequence[Left]
    streams: Mapping[str, int]


class Limits:
    """The limits, as one gateway settles them. seen_s: a gateway that was not heard of for so long does not count.
    fade_s: what was asked for counts e times less after this.
    """

    def __init__(self, pool: Pool, gateway_id: uuid.UUID, *, seen_s: float, fade_s: float) -> None:
        self._pool = pool
        self._gateway_id = gateway_id
        self._seen_s = seen_s
        self._fade_s = fade_s

    async def settle(self, used: Sequence[Used], streams: Sequence[Open]) -> Settled:
        """Tell what this gateway let through, in the order of (tenant, kind), and which tenants have streams open here,
        in their order: all of them each time.
        """
        row = await self._pool.fetchrow(
            _SQL["settle_limits"],
            self._gateway_id,
            self._seen_s,
            self._fade_s,
            *_columns(used, Used),
            *_columns(streams, Open),
        )
        gateways, place, levels, shares, allowed = row
        left = [Left(*each) for each in zip(levels, shares, strict=True)]
        tenants = (each.tenant for each in streams)
        return Settled(gateways, place, left, dict(zip(tenants, allowed, strict=True)))

    async def leave(self) -> None:
        """Count no longer."""
        await self._pool.execute(_SQL["leave_limits"], self._gateway_id)

    async def forget(self, age_s: float, limit: int) -> int:
        """Forget at most `limit` levels of which nobody told anything for age_s; return how many."""
        return int(await self._pool.fetchval(_SQL["forget_limits"], age_s, limit))


def _columns(rows: Sequence[tuple[Any, ...]], kind: type[Used | Open]) -> list[list[Any]]:
    return [list(each) for each in zip(*rows, strict=True)] or [[] for _ in kind._fields]
