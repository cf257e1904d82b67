"""What a running turn writes down and waits for: the contract between `Context` and the executor of a worker.

Order: what `record` writes becomes durable in the order of the calls, in one flush or in several.
Fence: every coroutine here raises OwnershipLostError once this process may no longer write for the turn; or, while the
turn is handed over and a step of it still runs here, never returns: nothing new begins, and the step is not disturbed.
"""

import uuid
from typing import Literal, NamedTuple, Protocol

from argosy.turn.events import Event
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels

WaitKind = Literal["signal", "sleep", "retry"]


class Recorded(NamedTuple):
    """A settled outcome of history: one of SETTLED_OUTCOMES and its data (JSON bytes)."""

    type: Event
    data: bytes


class Park(BaseException):
    """Stops the turn for an operator. Not an Exception, so that no `except Exception` in user code swallows it.

    key: of the operation that cannot go on; turn.parked is written under it, so that a resume concerns it alone.
    is_private: the key is not shown to clients.
    """

    def __init__(self, reason: str, message: str, key: str = "", *, is_private: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.key = key
        self.is_private = is_private


class Emitter(Protocol):
    """An attempt, for who watches it."""

    def look(self) -> Channels | None:
        """What it has emitted, and emits to from now on. None: nothing yet, and its first emit looks who watches."""
        ...


class Journal(Protocol):
    """One attempt's hand on its turn's history. Used from the event loop only, but for its properties, `channels` and
    `show`.

    bounds: of what it emits; is_new: it does not go on from anything that was emitted before.
    """

    @property
    def bounds(self) -> ChannelBounds: ...
    @property
    def is_new(self) -> bool: ...
    @property
    def turn_id(self) -> uuid.UUID: ...
    @property
    def tenant(self) -> str: ...
    @property
    def session(self) -> str: ...
    @property
    def attempt(self) -> int: ...

    def recorded(self, key: str) -> Recorded | None:
        """The settled outcome of an operation, or None. Marks the key as asked for."""
        ...

    def is_intended(self, key: str) -> bool:
        """Whether history holds step.intended for an at_most_once step (with no outcome: its effect is uncertain)."""
        ...

    def tries(self, key: str) -> int:
        """How many tries of a step history holds as failed (its step.retrying events)."""
        ...

    async def ready(self, key: str) -> None:
        """Returns when a new operation may start: all recorded before is durable, and the code has asked for every
        key that history has. Otherwise parks the turn (reason history_mismatch, a message that names both keys).
        """
        ...

    def record(self, event: Event, key: str, data: bytes) -> None:
        """Write a durable event. Returns at once; it is durable after `durable`, before the next `ready`, and before
        the turn's end is.
        """
        ...

    def hide(self, key: str) -> None:
        """The operation is a private step: nothing that clients are shown may name it."""
        ...

    def open(self, emitter: Emitter) -> None:
        """The attempt begins. Who watches already has its `look`, and so has whoever comes."""
        ...

    def channels(self) -> Channels:
        """Made for the attempt, with what it goes on from. May take long; several threads are given several."""
        ...

    def show(self, channels: Channels) -> None:
        """The attempt emits to these, and whoever watches sees them."""
        ...

    def abandon(self, key: str) -> None:
        """The operation is over for the code, also when it was cancelled and has no outcome: it keeps nothing awake."""
        ...

    async def durable(self, key: str) -> None:
        """Returns when everything recorded so far is in Postgres. key: of the operation that waits for it."""
        ...

    async def wait(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> bytes | None:
        """Wait durably; the turn may be suspended meanwhile, and this call then never returns (it is cancelled, and
        made again by the replay). signal: the payload of the signal `name` (JSON bytes). sleep, retry: None when
        timeout_s passed. The outcome is recorded under key by the time this returns. Raises WaitTimeoutError for a
        signal that did not come.
        """
        ...

    def database_time_s(self) -> float:
        """Seconds since 1970 by the database's clock, good to some milliseconds."""
        ...
