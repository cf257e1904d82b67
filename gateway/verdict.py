"""What an explanation of a turn says, apart from which turn it is."""

from datetime import datetime
from typing import Any, NamedTuple


class Verdict(NamedTuple):
    """An explanation without its turn."""

    code: str
    why: str
    what_to_do: str = "Nothing: it goes on by itself."
    details: dict[str, Any] = {}


def text_of(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else "its timer"
