"""What the execution of turns tells the rest of the worker, and what it asks."""

from collections.abc import Callable
from typing import Protocol

from argosy.workers.dispatch.turn import Turn


class AfterFreeing(Protocol):
    """What Trials tells."""

    def after_freeing(self) -> None:
        """Turns that wait may be given slots now."""


class AfterAttempt(Protocol):
    """What Attempts tells."""

    def after_bug(self, turn: Turn, bug: Exception) -> None:
        """Argosy's code, not the user's, failed with the turn; or a shard says that a later attempt has it."""


class AfterExecution(AfterFreeing, Protocol):
    """What Executor tells. Nothing of it may wait."""

    def after_pick(self, turn: Turn) -> None:
        """The turn has a slot, and its history is not in memory."""

    def after_failed_start(self, turn: Turn, error: Exception) -> None:
        """The turn cannot be begun, for a reason of its own."""

    def after_misreading(self, turn: Turn) -> None:
        """Memory had the turn otherwise than Postgres."""

    def after_deferral(self, turn: Turn) -> None:
        """Inbox rows met the turn before its last flush was durable, which it is now."""

    def after_lack(self, turn: Turn) -> None:
        """The turn's build is not here, and the turn holds no slot."""


class Counted(Protocol):
    """Some of which there may be none. count: how many there are, known without a call."""

    count: int


class Followers(Protocol):
    """Who follows turns: some of the subscribers. While there are none, nobody follows, and nothing need be asked."""

    @property
    def subscribers(self) -> Counted: ...

    def is_followed(self, turn: Turn) -> bool:
        """Whether anybody follows the turn and wants more of it than its end."""

    def listener_of(self, turn: Turn) -> Callable[[], None] | None:
        """Return what the turn's channels call, in any thread, when they are filled; None: nobody follows the turn."""
