"""A session in the memory of the worker that owns it."""

import uuid
from collections import deque

from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Turn


class Session:
    """A session of which memory has turns, or is about to read some.

    held: its head, which is ready, starting or running. is_ready: its head waits to be picked. queue: the turns behind
    the head. last_place: the highest place that memory has had of it. is_complete: memory has all of its turns.
    is_paging: its turns are to be read, or are being read.
    """

    __slots__ = (
        "bucket",
        "held",
        "is_complete",
        "is_paging",
        "is_ready",
        "last_place",
        "owned",
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
        self.last_place = 0
