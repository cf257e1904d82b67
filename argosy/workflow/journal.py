"""What a running turn writes down and waits for: the contract between the driver of its code and a worker.

Order: what `record` writes becomes durable in the order of the calls, in one flush or in several.
Fence: what is recorded, and every coroutine here, raises OwnershipLostError once this process may no longer write for
the turn. While the turn is handed over and a step of it still runs here `ready` and `durable` never return: nothing new
begins, and the step is not disturbed.
"""

import uuid
from collections.abc import Callable
from typing import Literal, Protocol

from argosy.turn.events import Event
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.replay import Recorded, Replay

WaitKind = Literal["signal", "sleep", "retry"]


class Park(BaseException):
    """Stops the turn for an operator.

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

    def leave(self) -> None:
        """Nobody looks any more."""
        ...


class Journal(Protocol):
    """One attempt's hand on its turn's history. Used from the event loop only, but for its properties, `channels` and
    `show`.

    bounds: of what it emits; is_new: it does not go on from anything that was emitted before; replay: the history that
    it goes on from.
    """

    @property
    def bounds(self) -> ChannelBounds: ...
    @property
    def is_new(self) -> bool: ...
    @property
    def replay(self) -> Replay: ...
    @property
    def turn_id(self) -> uuid.UUID: ...
    @property
    def tenant(self) -> str: ...
    @property
    def session(self) -> str: ...
    @property
    def attempt(self) -> int: ...

    @property
    def is_stopped(self) -> bool:
        """Whether the code must not go on: the turn is handed over, ends from outside, rests, or is not ours."""
        ...

    @property
    def is_cancelled(self) -> bool:
        """Whether the turn was cancelled in this attempt; that is recorded, and the code is to hear of it."""
        ...

    def hear(self) -> None:
        """The code is told that its turn is cancelled, by this attempt or by history."""
        ...

    def follow(self, advance: Callable[[], None]) -> None:
        """advance is called whenever a wait may be over."""
        ...

    def starts_now(self, key: str) -> bool:
        """Whether a step may begin at once, as `ready` has it. True: it is in flight. False: that is to be awaited."""
        ...

    async def ready(self, key: str) -> None:
        """Returns when a step may begin: all recorded before is durable. From then on it is in flight, until `left`."""
        ...

    def left(self, key: str) -> None:
        """The try of the step is over, whatever it came to."""
        ...

    def record(self, event: Event, key: str, data: bytes) -> None:
        """Write a durable event. Returns at once; it is durable after `durable`, before the next `ready`, and before
        the turn's end is. While the turn is handed over, what a step came to is kept for whoever owns it now. Raises
        WorkflowError when there is no room for it in the turn's history.
        """
        ...

    async def durable(self, key: str) -> None:
        """Returns when everything recorded so far is in Postgres. key: of the operation that waits for it."""
        ...

    def begin_wait(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
        """Wait durably: the turn may rest meanwhile. A wait that began in an earlier attempt goes on."""
        ...

    def take_timer(self, key: str) -> float | None:
        """How many seconds of a wait of an earlier attempt are left; another wait goes on in its place. None: it has no
        timer.
        """
        ...

    def end_wait(self, key: str) -> None:
        """The code does not wait any more: it gave up."""
        ...

    def next_over(self) -> tuple[str, Recorded] | None:
        """A wait that is over: its key and its outcome, recorded by the time this returns."""
        ...

    def rest(self) -> None:
        """The code is at rest, and waits for nothing but waits."""
        ...

    def hide(self, key: str) -> None:
        """The operation is a private step: nothing that clients are shown may name it."""
        ...

    def is_hidden(self, key: str) -> bool:
        """Whether it is the key of a private step, or of the wait between two of its tries."""
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

    def database_time_s(self) -> float:
        """Seconds since 1970 by the database's clock, good to some milliseconds."""
        ...
