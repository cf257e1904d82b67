"""Counts the emits of the workflow itself, so that a replay does not fill its channels again. Pure.

Promise: from whichever suspend a workflow is run again, its channels come to the same values, and an emit that was
refused is refused again. An emit is known by its number among the emits of its channel: concurrent branches that fill
one channel must reach it in the same order each time.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from argosy.errors import WorkflowError
from argosy.turn.events import Event

_REFUSED_MAX: Final = 100  # the numbers of all of them are written with every suspend


class Kept(NamedTuple):
    """The workflow's own channels, as the suspends of earlier runs have written them.

    values: by name, {"text": …} or {"json": …}; emits: as OwnEmits.counts. is_refilled: the same attempt went on
    elsewhere since.
    """

    values: dict[str, dict[str, Any]]
    emits: dict[str, list[int]]
    is_refilled: bool = False


class OwnEmits:
    """The emits of one run of a workflow. held: the counts that the last suspend wrote.

    counts: by channel, how many emits so far, then the numbers (from 1) of those that were refused. written: how long
    each channel was when the last suspend wrote it. is_suspended: emits are not counted any more.
    """

    __slots__ = ("_held", "counts", "is_suspended", "written")

    def __init__(self, held: dict[str, list[int]]) -> None:
        self._held = held
        self.counts: dict[str, list[int]] = {}
        self.written: dict[str, int] = {}
        self.is_suspended = False

    def is_held(self, name: str) -> bool:
        """Count an emit. True: a suspend has written what it emits, so it is skipped.

        Raises WorkflowError when the emit was refused in an earlier run, and after _REFUSED_MAX refusals.
        """
        count = self.counts.setdefault(name, [0])
        if len(count) > _REFUSED_MAX:
            raise WorkflowError(f"channel {name!r} takes no more: {_REFUSED_MAX} emits of it were refused")
        count[0] += 1
        held = self._held.get(name)
        if held is None or count[0] > held[0]:
            return False
        if count[0] in held[1:]:
            count.append(count[0])
            raise WorkflowError(f"this emit of channel {name!r} was refused when the workflow made it first")
        return True

    def refused(self, name: str) -> None:
        """Note that the emit that was counted last was refused."""
        self.counts[name].append(self.counts[name][0])


class _Suspended(msgspec.Struct):
    channels: dict[str, dict[str, Any]] = {}
    emits: dict[str, list[int]] = {}


_decode = msgspec.json.Decoder(_Suspended).decode


def kept_channels(history: Iterable[Any], *, is_refilled: bool) -> Kept | None:
    """Return the channels as the turn's suspensions wrote them, each those that had changed since the one before.
    None: they wrote nothing, and is_refilled is False.

    history: rows (seq, attempt, type, key, data); is_refilled: a former owner of this attempt may have emitted more.
    """
    kept = Kept({}, {}, is_refilled)
    for _seq, _attempt, kind, _key, data in history:
        if kind == Event.TURN_SUSPENDED and data != b"{}":
            suspended = _decode(data)
            kept.values.update(suspended.channels)
            kept.emits.update(suspended.emits)
    return kept if kept.emits or is_refilled else None
