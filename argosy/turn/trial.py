"""What is known against a turn that was running in crashes of workers: the content of turns.trial.

The worker that runs the turn writes it (workers/dispatch/execution/crash_rule.py has the rule). The turn's next owner
reads it, and so does a gateway that explains why the turn does not go on.
"""

from enum import Enum

import msgspec


class Kind(Enum):
    """What last happened to an accused turn."""

    TOGETHER = "together"  # it began together with all other accused turns
    BESIDE = "beside"  # it began like that, and then a trial of other turns began in its process
    WAITS = "waits"  # it has not begun again since the last crash
    TRIED = "tried"  # it began in a group of `size`
    ADJOURNED = "adjourned"  # the trial of that group was broken off: a crash does not count against the group
    SPARED = "spared"  # it lived through its trial


class Trial(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about one attempt of a turn. It is void when the turn's crashes are forgiven.

    at_s: database time of the attempt's start, or since when it waits. size: turns in its group, or (WAITS) the most
    that there may be, 0 when not known yet. alone: crashes in which it was the only turn on trial. watch_s: how long
    its trial lasts, or (TOGETHER, BESIDE) how long one would have lasted at least. beside: crashes in a row that were
    counted against other turns. longest_s: the longest that it ran before any of its crashes. until_s: (BESIDE) when
    the trial of the others is over at the latest, database time; 0 when an earlier version wrote it, which did not say.

    For `explain` only: behind: groups that are tried before its own. until_s (WAITS): when it goes on at the latest, if
    those groups cause no crash.
    """

    kind: Kind
    attempt: int
    at_s: float
    size: int = 0
    alone: int = 0
    watch_s: float = 0.0
    beside: int = 0
    longest_s: float = 0.0
    behind: int = 0
    until_s: float = 0.0


_decode = msgspec.json.Decoder(Trial).decode
encode = msgspec.json.Encoder().encode


def decode(written: bytes | None) -> Trial | None:
    """Return the trial that Postgres has; None when it has none, or one that a later version of Argosy wrote."""
    try:
        return None if written is None else _decode(written)
    except msgspec.DecodeError:
        return None
