"""Why a turn waits before a step of it is tried again: a shard does not answer, a graph needs an operator, or the step
failed.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from argosy.errors import GraphUnusableError
from argosy.gateway.verdict import Verdict, text_of
from argosy.gateway.views import Wait
from argosy.store.turn import TurnFacts
from argosy.turn.keys import step_key
from argosy.turn.wait import WaitKind, decode

_UNUSABLE: Final = GraphUnusableError.__name__  # as step.retrying has it
_OF_A_PRIVATE_STEP: Final = (
    "the graph's shard answers, and cannot use the graph's file or does not have it, or does not enforce lists"
)


class _Failed(msgspec.Struct):
    type: str = ""
    message: str = ""
    away: bool = False
    private: Any = None


_decode_failed = msgspec.json.Decoder(_Failed).decode


def verdict_of_retries(
    facts: TurnFacts, waits: Sequence[Wait], until: datetime | None, turn_id: uuid.UUID
) -> Verdict | None:
    """Return the verdict on a turn that waits to try a step again; None when it does not. until: when it tries."""
    retries = [wait for wait in waits if wait.kind == WaitKind.RETRY]
    if not retries:
        return None
    if (message := _unusable(facts)) is not None:
        why = f"It waits for a graph: {message}. It asks again at {text_of(until)}."
        to_do = (
            "An operator has to act: for a graph's file docs/restore.md#graphs says how. Then it goes on by itself. "
            "POST …/cancel ends it."
        )
        return Verdict("waiting_for_operator", why, to_do)
    if shards := ", ".join(sorted({wait.name for wait in retries if wait.name})):
        return Verdict(
            "waiting_for_shard", f"It waits until shard {shards} answers, and asks again at {text_of(until)}."
        )
    why = f"A step of it failed and is tried again at {text_of(until)}."
    to_do = f"Nothing, unless that lasts: step.retrying of GET /v1/turns/{turn_id}/events says how it failed."
    return Verdict("waiting_for_retry", why, to_do)


def _unusable(facts: TurnFacts) -> str | None:
    """Return in what way a graph for which one of the steps waits is unusable; None when none is."""
    last: dict[str, bytes] = {}
    for key, data in facts.retrying:
        last.setdefault(key, data)
    for wait in decode(facts.waits):
        if wait.kind == WaitKind.RETRY and (found := last.get(step_key(wait.key))) is not None:
            failed = _decode_failed(found)
            if failed.away and failed.type == _UNUSABLE:
                return failed.message if failed.private is None else _OF_A_PRIVATE_STEP
    return None
