"""Decides whether a batch continues the one before it, or records between the two were dropped."""

from argosy.log import Batch, Gap
from argosy.workers.dispatch.owned import Owned


def is_continued(owned: Owned, batch: Batch) -> bool:
    """Whether the batch has all that the log holds from owned.next_read to its end. If not, the partition must be read
    again, from its position.

    The first batch after the reader went to a place (batch.is_fresh) may lack records right after its begin. Such a gap
    (owned.gap) is believed when the second reading shows it, too. When the first reading ended with the gap, with no
    record behind it, the second may also show a longer gap, as the log may have grown meanwhile: what the reader had
    fetched for the first reading cannot lie beyond the end of that reading.
    """
    if batch.begin > owned.next_read:
        owned.suspect(None)
        return False
    first = batch.records[0].position if batch.records else batch.end
    if not batch.is_fresh:
        return True
    before = owned.gap
    owned.suspect(None)
    if first <= owned.next_read:
        return True
    found = Gap(owned.next_read, first, bool(batch.records))
    if before is not None and (
        found == before or (found.begin == before.begin and first >= before.end and not before.has_record)
    ):
        return True
    owned.suspect(found)
    return False
