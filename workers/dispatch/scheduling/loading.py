"""What comes of reading turns from Postgres: facts that Histories and Pager hand to the rest of the worker."""

from typing import NamedTuple, Protocol

from argosy.store.head import Head, LoadedTurn
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Turn


class Unreadable(NamedTuple):
    """Why a turn cannot run: a reason for turn.parked, and a message that says how to go on."""

    reason: str
    message: str


class AfterLoading(Protocol):
    """What Histories tells."""

    def after_load(self, turn: Turn) -> None:
        """All of the turn is in memory."""

    def after_unreadable(self, turn: Turn, why: Unreadable) -> None:
        """The turn's history cannot be used."""


class AfterPaging(Protocol):
    """What Pager tells."""

    def after_paging(self) -> None:
        """Heads may be ready that were not."""

    def after_lent_head(self, row: Head | LoadedTurn, owned: Owned) -> None:
        """The head of a session was found lent to another worker."""
