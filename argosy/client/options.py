"""The options of a turn, beside its workflow and its input."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from argosy.client.calls import OnBusy


class TurnOptions(TypedDict, total=False):
    """The options of a turn. session: by default a new one for this turn alone. key: the idempotency key; by default a
    new one. To repeat a call safely in another process, give a key of your own. on_busy: what to do when the session is
    busy. priority: -100..100. not_before: with a time zone. deadline_s: seconds from when the turn is due.
    """

    session: str | None
    key: str | None
    on_busy: OnBusy
    priority: int
    not_before: datetime | None
    deadline_s: float | None
    tags: Sequence[str]
