"""What a turn that was in crashes of workers is tried for: what turns.trial holds.

It is written by the worker that runs the turn (workers/dispatch/execution/crash_rule.py has the rule), and read by its
next owner and by who explains why a turn does not go on.
"""

from enum import Enum

import msgspec


class Kind(Enum):
    """What the last thing was that happened to an accused turn."""

    TOGETHER = "together"  # it began with all the others
    BESIDE = "beside"  # the same, and then a trial of others began in its process
    WAITS = "waits"  # it did not begin again since the last crash
    TRIED = "tried"  # it began in a group of `size`
    ADJOURNED = "adjourned"  # the trial of that group was broken off: a crash is not the group's
    SPARED = "spared"  # it lived through its trial


class Trial(msgspec.Struct, frozen=True, omit_defaults=True):
    """About the attempt that it names, and void when the turn's crashes are forgiven.

    at_s: database time of its start, or since when it waits; size: turns of its group, or (WAITS) the most that there
    may be, 0 for not known yet; alone: crashes in which it was the only one on trial; watch_s: how long its trial is,
    or (TOGETHER, BESIDE) was at least to be; beside: crashes in a row that were laid at the door of others;
    longest_s: the longest that it ran before any of its crashes.
    For people: behind: groups that are tried before its own; until_s: when it goes on at the latest, if those behave.
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
    """What Postgres has of a trial; None when it has nothing, or something that a later version of Argosy wrote."""
    try:
        return None if written is None else _decode(written)
    except msgspec.DecodeError:
        return None
