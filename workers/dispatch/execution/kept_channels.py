"""Reads from a turn's history what the workflow's own channels held. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec

from argosy.turn.events import Event
from argosy.workflow.own_emits import Kept


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
