"""Role horizon: warns about what keeps dead row versions from being cleaned up.

A transaction, a prepared transaction, a slot or a standby that holds an old snapshot makes tables and indexes grow for
as long as it lasts, and every queue-like read slower. What flushes write stays fast for long even so, but the disk
fills up in the end: docs/architecture.md, "Postgres sessions". Only members of pg_monitor see other users' sessions.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.store.maintenance import Holder, list_holders
from argosy.store.pool import Pool
from argosy.workers.maintenance.role import Ticked

log = structlog.get_logger()

_SAY_AGAIN_S: Final = 3_600.0  # of the same holder: an operator needs time to end it
# The bound for slots and standbys, whose age Postgres does not tell.
_TRANSACTIONS_MAX: Final = 1_000_000


def held_too_long(holders: Sequence[Holder], age_s_max: float) -> list[Holder]:
    """Return the holders that have held for age_s_max or longer.

    A holder whose age is not known counts when a million transactions have begun since its snapshot.
    """
    return [
        each
        for each in holders
        if (each.transactions >= _TRANSACTIONS_MAX if each.age_s is None else each.age_s >= age_s_max)
    ]


class Horizon:
    """The role horizon; see workers/maintenance/role.py."""

    name = "horizon"

    def __init__(self, settings: Settings, pool: Pool, clock: Clock) -> None:
        self._age_s_max = settings.snapshot_held_s
        self._pool = pool
        self._clock = clock
        self._said_at_s: dict[tuple[str, str], float] = {}

    async def tick(self, term: int) -> Ticked:
        holders = await list_holders(self._pool)
        telemetry.SNAPSHOT_HELD_S.set(max((each.age_s or 0.0 for each in holders), default=0.0))
        held = held_too_long(holders, self._age_s_max)
        now_s = self._clock.monotonic_s()
        self._said_at_s = {key: at_s for key, at_s in self._said_at_s.items() if now_s - at_s < _SAY_AGAIN_S}
        for each in held:
            if (each.kind, each.name) not in self._said_at_s:
                self._said_at_s[each.kind, each.name] = now_s
                self._say(each)
        names = ", ".join(f"{each.kind} {each.name}" for each in held)
        return Ticked(f"dead rows are kept by {names}" if held else "nobody keeps dead rows")

    def _say(self, holder: Holder) -> None:
        log.warning(
            telemetry.SNAPSHOT_HELD,
            holder=f"{holder.kind} {holder.name}",
            age_s=None if holder.age_s is None else round(holder.age_s),
            transactions=holder.transactions,
            who=holder.who,
            consequence="dead rows stay: end it (pg_terminate_backend, ROLLBACK PREPARED), or drop the slot",
        )
