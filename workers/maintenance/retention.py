"""Role retention: deletes ended turns and their history after RETENTION_S, ended jobs of ingest with their rejects, old
rows that belong to no turn, and receipts of erasures. It gives up uploads that are not whole after INGEST_UPLOAD_TTL_S.
Rows of the audit go after AUDIT_RETENTION_S, and so do tokens that ended so long ago; logins a day after their end.

It deletes only turns and jobs whose records are gone from the log (role trim): a record that is read again must find
its turn, or the turn would run twice. It looks at turns in the order of their ends and passes over those that may not
go yet, until the next pass. The turns of one partition go in one short transaction, during which that partition accepts
nothing.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import StoreUnavailableError
from argosy.ingest.job import LANE
from argosy.store.audit import purge_audit
from argosy.store.erasure import purge_erasures
from argosy.store.identity import Identities
from argosy.store.ingest import Jobs
from argosy.store.maintenance import FIRST_PLACE, AgedTurn, Maintenance
from argosy.store.pool import Pool
from argosy.workers.maintenance.role import Ticked

log = structlog.get_logger()

_LOOKS_PER_BATCH: Final = 8  # turns to look at for each turn of a batch: they lie in many partitions

_LOGIN_AGE_S: Final = 86_400.0  # logins go so long after they have ended: until then the audit's reason is told
_MISSES_MAX: Final = 3  # per tick


def batches(turns: Sequence[AgedTurn], size_max: int) -> list[tuple[str, int, list[UUID]]]:
    """Return the turns that may go as (lane, partition, turn ids), at most size_max in each."""
    found: dict[tuple[str, int], list[UUID]] = {}
    for turn in turns:
        if turn.may_go and turn.partition is not None:
            found.setdefault((turn.lane, turn.partition), []).append(turn.place.turn_id)
    return [
        (*where, ids[start : start + size_max])
        for where, ids in found.items()
        for start in range(0, len(ids), size_max)
    ]


class Retention:
    """The role retention; see workers/maintenance/role.py. share_s: how long one tick may take."""

    name = "retention"

    def __init__(self, settings: Settings, pool: Pool, clock: Clock, share_s: float) -> None:
        self._age_s = settings.retention_s
        self._batch_max = settings.retention_batch_max
        # As long as the log may have a record, a late one is known by its receipt (functions/log.sql, log_append).
        self._receipt_s = max(settings.retention_s, settings.trim_lag_s)
        self._upload_ttl_s = settings.ingest_upload_ttl_s
        self._audit_age_s = settings.audit_retention_s
        self._pool = pool
        self._clock = clock
        self._share_s = share_s
        self._place = FIRST_PLACE
        self._misses = 0
        self._is_audit_kept = False

    async def tick(self, term: int) -> Ticked:
        until_s = self._clock.monotonic_s() + self._share_s
        store = Maintenance(self._pool, self.name, term)
        self._misses = 0
        strays = await store.purge_strays(self._age_s, self._batch_max)
        jobs = await self._purge_jobs(term)
        identity = await self._purge_identity(term)
        gone = kept = 0
        has_more = True
        while has_more and self._clock.monotonic_s() < until_s:
            turns = await store.ended(self._age_s, self._place, self._batch_max * _LOOKS_PER_BATCH)
            for lane, partition, ids in batches(turns, self._batch_max):
                gone += await self._purge(store, lane, partition, ids)
            kept += sum(not turn.may_go for turn in turns)
            has_more = len(turns) == self._batch_max * _LOOKS_PER_BATCH
            self._place = turns[-1].place if has_more else FIRST_PLACE
        waiting = f"; {kept} wait until the log has forgotten their record" if kept else ""
        of_jobs = f"; {jobs} jobs forgotten or given up" if jobs else ""
        of_identity = "; the audit is kept, of which this role may delete nothing" if self._is_audit_kept else ""
        of_identity += f"; {identity} tokens, logins or rows of the audit forgotten" if identity else ""
        has_more |= max(strays, jobs, identity) >= self._batch_max
        return Ticked(f"{gone} turns and {strays} stray rows forgotten{of_jobs}{of_identity}{waiting}", has_more)

    async def _purge_jobs(self, term: int) -> int:
        """Forget jobs and receipts whose time is over, and give up uploads; how many jobs."""
        jobs = Jobs(self._pool)
        given_up = await jobs.abandon(self.name, term, self._upload_ttl_s, self._batch_max)
        gone = await jobs.purge(self.name, term, LANE, self._age_s, self._batch_max)
        await purge_erasures(self._pool, self.name, term, self._receipt_s, self._batch_max)
        return given_up + gone

    async def _purge_identity(self, term: int) -> int:
        """Delete rows of the audit, and tokens and logins that ended, whose time is over; how many."""
        identities = Identities(self._pool)
        tokens = await identities.purge_tokens(self.name, term, self._audit_age_s, self._batch_max)
        tokens += await identities.logins.purge(self.name, term, _LOGIN_AGE_S, self._batch_max)
        tokens += await identities.purge_revocations(self.name, term, self._batch_max)
        rows = await purge_audit(self._pool, self.name, term, self._audit_age_s, self._batch_max)
        if rows is None and not self._is_audit_kept:
            log.warning(telemetry.AUDIT_KEPT, wanted="argosy migrate --grant-maintenance-to ROLE")
        self._is_audit_kept = rows is None
        return tokens + (rows or 0)

    async def _purge(self, store: Maintenance, lane: str, partition: int, turns: list[UUID]) -> int:
        try:
            return await store.purge_turns(lane, partition, turns, self._age_s)
        except StoreUnavailableError:  # another transaction is in the way: the next pass looks at these turns again
            self._misses += 1
            if self._misses >= _MISSES_MAX:
                raise
            return 0
