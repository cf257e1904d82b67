"""What the owner of a session remembers of it."""

import uuid
from collections import deque

from argosy.workers.dispatch.turn import Owned, Turn


class Session:
    """A session that memory knows something of. held: its head is ready, starting or running."""

    __slots__ = (
        "bucket",
        "held",
        "is_complete",
        "is_paging",
        "is_ready",
        "last_place",
        "owned",
        "page_again",
        "queue",
        "session_id",
    )

    def __init__(self, session_id: uuid.UUID, bucket: int, owned: Owned) -> None:
        self.session_id = session_id
        self.bucket = bucket
        self.owned = owned
        self.held: Turn | None = None
        self.queue: deque[Turn] = deque()
        self.is_complete = True
        self.is_paging = False
        self.is_ready = False
        self.page_again = False
        self.last_place = 0
