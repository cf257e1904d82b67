"""Whether what was read goes on where the last ended, or something was dropped on the way. Pure."""

from argosy.log import Batch, Gap
from argosy.workers.dispatch.turn import Owned


def is_continued(owned: Owned, batch: Batch) -> bool:
    """Whether everything from next_read on to the end of the batch is in it: False, and all is to be read again.

    What a reader that has just gone to a place does not show is believed when the next reading does not show it either.
    One that ended there without a record may have got more meanwhile: nothing that was fetched for the first reading
    can be beyond its end.
    """
    if batch.begin > owned.next_read:
        owned.gap = None
        return False
    first = batch.records[0].position if batch.records else batch.end
    if not batch.is_fresh:
        return True
    before, owned.gap = owned.gap, None
    if first <= owned.next_read:
        return True
    found = Gap(owned.next_read, first, bool(batch.records))
    if before is not None and (
        found == before or (found.begin == before.begin and first >= before.end and not before.has_record)
    ):
        return True
    owned.gap = found
    return False
