"""What a running turn records and waits for: the contract between the driver of its code and a worker.

Order: what `record` writes becomes durable in the order of the calls, in one flush or in several.

Fence: once this process may no longer write for the turn, `record` and every coroutine here raise OwnershipLostError.
While the turn is handed over and one of its steps still runs here, `ready` and `durable` never return: so nothing new
begins, and the step runs on undisturbed.
"""

import uuid
from collections.abc import Callable
from typing import Protocol

from argosy.identity.turn_principal import TurnPrincipal
from argosy.turn.events import Event
from argosy.turn.wait import WaitKind
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.graphs import TurnGraphs
from argosy.workflow.replay import Recorded, Replay


class Park(BaseException):
    """Stops the turn for an operator.

    key: of the operation that cannot go on; turn.parked is written under this key, so that a resume concerns that
    operation alone. is_private: clients are not shown the key.
    """

    def __init__(self, reason: str, message: str, key: str = "", *, is_private: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.key = key
        self.is_private = is_private


class Emitter(Protocol):
    """The channels of an attempt, as a follower needs them."""

    def look(self) -> Channels | None:
        """Return the channels that the attempt has emitted to and emits to from now on.

        None: it has emitted nothing yet, and its first emit finds out whether the turn has followers.
        """
        ...

    def leave(self) -> None:
        """Note that nothing follows the attempt any more."""
        ...


class Journal(Protocol):
    """One attempt's access to its turn's history. Used from the event loop only, except the properties, `channels` and
    `show`.

    bounds: of what the attempt emits; is_new: no earlier run of the turn has emitted anything that this attempt goes on
    from; replay: the history that the attempt goes on from.
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
    def principal(self) -> TurnPrincipal | None: ...
    @property
    def attempt(self) -> int: ...

    @property
    def is_stopped(self) -> bool:
        """Whether the code must not go on: the turn is handed over, ended from outside, suspended, or no longer owned
        by this worker.
        """
        ...

    @property
    def is_cancelled(self) -> bool:
        """Whether the turn was cancelled in this attempt: the cancel is recorded, and the code has to be told."""
        ...

    def note_cancelled(self) -> None:
        """Note that the code is told that its turn is cancelled, by this attempt or by history."""
        ...

    def follow(self, advance: Callable[[], None]) -> None:
        """Set the function that is called whenever a wait may be over."""
        ...

    def starts_now(self, key: str) -> bool:
        """Whether a step may begin at once, without `ready`. True: the step is in flight from now on. False: await
        `ready`.
        """
        ...

    async def ready(self, key: str) -> None:
        """Return when a step may begin: everything recorded before is durable. The step is then in flight, until
        `left`.
        """
        ...

    def left(self, key: str) -> None:
        """Note that the try of the step is over, whatever its outcome."""
        ...

    def record(self, event: Event, key: str, data: bytes) -> None:
        """Write a durable event. Returns at once.

        The event is durable after the next `durable`, before the next `ready` returns, and before the turn's end is
        durable. While the turn is handed over, the outcome of a step is kept for the worker that owns the turn now.
        Raises WorkflowError when the turn's history has no room for the event.
        """
        ...

    async def durable(self, key: str) -> None:
        """Return when everything recorded so far is in Postgres. key: of the operation that waits for it."""
        ...

    def begin_wait(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
        """Begin a durable wait, during which the turn may be suspended. A wait that began in an earlier attempt goes
        on.
        """
        ...

    def take_timer(self, key: str) -> float | None:
        """End a wait of an earlier attempt in favour of one that goes on in its place, and return how many seconds of
        it are left.

        None: the wait has no timer.
        """
        ...

    def end_wait(self, key: str) -> None:
        """End a wait that the code has given up."""
        ...

    def next_over(self) -> tuple[str, Recorded] | None:
        """Return the key and the outcome of a wait that is over, or None. The outcome is recorded by the time this
        returns.
        """
        ...

    def rest(self) -> None:
        """Note that the code is at rest, and that all it waits for are durable waits: the turn may be suspended."""
        ...

    def hide(self, key: str) -> None:
        """Note that the operation is a private step: nothing that clients are shown may name it."""
        ...

    def is_hidden(self, key: str) -> bool:
        """Whether the key is that of a private step, or of the wait between two of its tries."""
        ...

    def open(self, emitter: Emitter) -> None:
        """Begin the attempt. If the turn has a follower already, its `look` is called now; for a later follower, when
        it comes.
        """
        ...

    def channels(self) -> Channels:
        """Make the channels of the attempt, with the values that it goes on from. May take long; two threads may each
        get their own.
        """
        ...

    def show(self, channels: Channels) -> None:
        """Make these the channels of the attempt: followers see what it emits to them."""
        ...

    def graphs(self) -> TurnGraphs:
        """Return the graphs as this attempt reaches them. Raises SettingError when the worker knows no shards."""
        ...

    def database_time_s(self) -> float:
        """Return the seconds since 1970 by the database's clock, good to some milliseconds."""
        ...
