"""I2: turns of a session run one at a time, in the order in which the log took them."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tests.checker.echo import echoes
from tests.checker.seen import History, resolved


class _Interval(NamedTuple):
    """When a turn entered the log, as far as its client can know, and when its effects were."""

    turn_id: str
    entered_after_s: float
    entered_before_s: float
    first: int
    last: int


def _intervals(history: History) -> dict[str, list[_Interval]]:
    """Per session, in the order of the first effects."""
    first: dict[str, int] = {}
    last: dict[tuple[str, str], int] = {}
    endings = {read.turn_id: read.status for read in history.reads.values()}
    late = echoes(history)
    for effect in sorted(history.effects):
        if effect in late:
            continue
        first.setdefault(effect.turn_id, effect.started)
        # A repetition replaces what a killed process left behind; a cancelled step's call may be answered late.
        is_cut = endings.get(effect.turn_id) in ("cancelled", "expired")
        last[effect.turn_id, effect.idempotency_key] = (
            effect.started if is_cut else max(effect.started, effect.finished)
        )
    last_of: dict[str, int] = defaultdict(int)
    for (turn_id, _), number in last.items():
        last_of[turn_id] = max(last_of[turn_id], number)

    sent: dict[str, float] = {}
    answered: dict[str, float] = {}
    session_of: dict[str, str] = {effect.turn_id: effect.session for effect in history.effects}
    known_keys: dict[tuple[str, str], str] = {}
    for request in history.requests:
        if request.key and (found := resolved(history, request.turn_id)):
            known_keys[request.session, request.key] = found
    for request in history.requests:
        asked = resolved(history, request.turn_id) or known_keys.get((request.session, request.key))
        if asked is None:
            continue
        sent[asked] = min(sent.get(asked, request.sent_s), request.sent_s)
        if request.status in (200, 202):
            answered[asked] = min(answered.get(asked, request.answered_s), request.answered_s)
    sessions: dict[str, list[_Interval]] = defaultdict(list)
    for turn_id, number in sorted(first.items(), key=lambda item: item[1]):
        interval = _Interval(
            turn_id, sent.get(turn_id, 0.0), answered.get(turn_id, float("inf")), number, last_of[turn_id]
        )
        sessions[session_of[turn_id]].append(interval)
    return sessions


def order(history: History) -> Iterator[str]:
    """I2: a turn that was acknowledged before another was sent has its effects first."""
    for session, intervals in _intervals(history).items():
        latest = None
        for interval in intervals:
            if latest is not None and interval.entered_before_s < latest.entered_after_s:
                yield (
                    f"I2 reordered: in {session} turn {interval.turn_id} was accepted before turn {latest.turn_id} "
                    f"was sent and ran after it"
                )
            if latest is None or interval.entered_after_s > latest.entered_after_s:
                latest = interval


def overlaps(history: History) -> Iterator[str]:
    """I2: no effect of a turn lies between the first and the last of another turn of its session."""
    for session, intervals in _intervals(history).items():
        longest = None
        for interval in intervals:
            if longest is not None and interval.first < longest.last:
                yield f"I2 overlap: in {session} turn {interval.turn_id} began before turn {longest.turn_id} was over"
            if longest is None or interval.last > longest.last:
                longest = interval
