"""What follows from what happens to loans of turns: as in dispatcher.py, one method per fact, by the same rules."""

import uuid
from collections.abc import Collection

from argosy.workers.dispatch.elsewhere import Lent
from argosy.workers.dispatch.inbox.inbox import Inbox
from argosy.workers.dispatch.others import Others
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.pager import Pager
from argosy.workers.dispatch.scheduling.scheduler import Scheduler


class LoanDispatcher:
    """Tells the parts of a worker what happened to loans. `Parts` sets the attributes below as it makes the parts."""

    scheduler: Scheduler
    pager: Pager
    inbox: Inbox
    others: Others

    def after_row_of_lent(self, lent: Lent) -> None:
        """A row is due for a turn that another worker borrows."""
        self.others.tell_borrower(lent.borrower, [lent.bucket])

    def after_letting_go(self, inbox_ids: Collection[uuid.UUID]) -> None:
        self.inbox.moved(inbox_ids)
        self.inbox.poke()

    def after_more(self, session_id: uuid.UUID, bucket: int, owned: Owned) -> None:
        """There may be more of a session in Postgres than memory knows."""
        self.scheduler.more(session_id, bucket, owned)
        self.pager.nudge()
        self.inbox.poke()

    def after_forgotten_heads(self, owned: list[Owned]) -> None:
        """Memory had no room for heads of these partitions, and has some now."""
        self.pager.claimed(owned)
        self.pager.nudge()
