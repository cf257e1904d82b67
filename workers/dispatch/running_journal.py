"""What the other parts of a worker ask of the journal of a running turn."""

import uuid
from collections.abc import Callable, Iterable
from typing import Protocol

from argosy.workers.dispatch.signals import Signal
from argosy.workers.dispatch.waits import Wait
from argosy.workers.dispatch.writes import EventWrite
from argosy.workflow.replay import Replay


class RunningJournal(Protocol):
    """See execution/journal.py. is_new: the attempt begins without a history; knows_of_cancel: its code was told of its
    cancel; active: keys of steps in flight; outcomes: what steps came to after the turn was handed over.
    """

    is_new: bool
    knows_of_cancel: bool
    replay: Replay
    active: set[str]
    outcomes: list[EventWrite]

    def open_waits(self) -> Iterable[Wait]:
        """Return the waits that the code is in."""

    def written_waits(self) -> bytes:
        """Return the waits that the code is in, as turns.waits has them."""

    def deliver(self, signal: Signal) -> None:
        """Give the turn a signal."""

    def fire(self, key: str, inbox_id: uuid.UUID) -> None:
        """Give the turn a timer of its own that fell due."""

    def cancel(self, data: bytes) -> None:
        """Record the cancel of the turn."""

    def hand_over(self, on_done: Callable[[], None]) -> None:
        """Call on_done from now on whenever a step in flight has ended."""

    def close(self) -> None:
        """Cut reference cycles: the turn has ended or rests."""
