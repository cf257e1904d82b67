"""Role retention: forgets ended turns and their history after RETENTION_S, and what could not be read.

Only turns whose record is gone from the log (role trim): one that is read again must find its turn, or it would run
twice. In batches, each a short transaction of its own, until there is nothing left or the tick's share is done.
"""

from argosy.config import Settings
from argosy.store.maintenance import Maintenance
from argosy.store.pool import Pool

_BATCHES_MAX = 50


class Retention:
    """See workers/maintenance/role.py."""

    name = "retention"

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._age_s = settings.retention_s
        self._batch_max = settings.retention_batch_max
        self._pool = pool

    async def tick(self, term: int) -> str:
        store = Maintenance(self._pool, self.name, term)
        turns = dead_letters = 0
        for lane in await store.lanes():
            for _ in range(_BATCHES_MAX):
                purged = await store.purge_turns(lane, self._age_s, self._batch_max)
                turns += purged
                if purged < self._batch_max:
                    break
            dead_letters += await store.purge_dead_letters(lane, self._age_s, self._batch_max)
        return f"{turns} turns and {dead_letters} dead letters forgotten"
