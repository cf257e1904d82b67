"""What may be said about a turn beside its workflow and its input."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from argosy.client.calls import OnBusy


class TurnOptions(TypedDict, total=False):
    """session: the ordered stream that the turn belongs to; a new one for it alone unless said. key: the idempotency
    key, minted unless said: whoever repeats a call in another process gives his own. on_busy: when the session is busy.
    priority: -100..100. not_before: with a time zone. deadline_s: seconds from when it is due.
    """

    session: str | None
    key: str | None
    on_busy: OnBusy
    priority: int
    not_before: datetime | None
    deadline_s: float | None
    tags: Sequence[str]
