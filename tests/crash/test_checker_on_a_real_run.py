"""The checker sees harm done to what a real fleet left behind, not only to histories made by hand."""

import asyncio
from collections.abc import Callable

import pytest

from tests.checker.history import violations
from tests.checker.seen import History
from tests.harness.client import Client
from tests.harness.fleet import Fleet


def _turns_in_order(history: History, session: str) -> list[str]:
    """The turns of a session, the one that was asked for first at the front."""
    requests = sorted((r for r in history.requests if r.session == session), key=lambda r: r.sent_s)
    return [r.turn_id or "" for r in requests]


def _lose_a_turn(history: History) -> History:
    victim = history.requests[3].turn_id or ""
    reads = {asked: read for asked, read in history.reads.items() if asked != victim}
    return history._replace(reads=reads, effects=tuple(e for e in history.effects if e.turn_id != victim))


def _double_an_effect(history: History) -> History:
    effect = history.effects[-1]
    again = effect._replace(
        started=effect.finished + 1, finished=effect.finished + 2, idempotency_key=f"{effect.idempotency_key}/again"
    )
    return history._replace(effects=(*history.effects, again))


def _swap_two_turns(history: History) -> History:
    """The first two turns of one session exchange their effects."""
    session = history.requests[0].session
    first, second = _turns_in_order(history, session)[:2]
    spans = {
        turn: sorted((e.started, e.finished) for e in history.effects if e.turn_id == turn) for turn in (first, second)
    }
    swapped = {first: iter(spans[second]), second: iter(spans[first])}
    effects = []
    for effect in sorted(history.effects):
        if effect.turn_id in swapped:
            started, finished = next(swapped[effect.turn_id])
            effect = effect._replace(started=started, finished=finished)
        effects.append(effect)
    return history._replace(effects=tuple(effects))


def _overlap_two_turns(history: History) -> History:
    session = history.requests[0].session
    first = _turns_in_order(history, session)[0]
    end = max(effect.finished for effect in history.effects)
    effects = [e._replace(finished=end + 1) if e.turn_id == first else e for e in history.effects]
    return history._replace(effects=tuple(effects))


def _drop_an_event(history: History) -> History:
    asked, read = next(iter(history.reads.items()))
    return history._replace(reads={**history.reads, asked: read._replace(events=(read.events[0], *read.events[2:]))})


def _end_a_turn_twice(history: History) -> History:
    asked, read = next(iter(history.reads.items()))
    end = read.events[-1]
    events = (*read.events, end._replace(seq=end.seq + 1, type="turn.cancelled"))
    return history._replace(reads={**history.reads, asked: read._replace(events=events)})


def _leave_a_turn_running(history: History) -> History:
    asked, read = next(iter(history.reads.items()))
    return history._replace(reads={**history.reads, asked: read._replace(status="running", events=read.events[:-1])})


HARMS: list[tuple[Callable[[History], History], str]] = [
    (_lose_a_turn, "I1 lost"),
    (_double_an_effect, "I3 doubled"),
    (_swap_two_turns, "I2 reordered"),
    (_overlap_two_turns, "I2 overlap"),
    (_drop_an_event, "I6 gap"),
    (_end_a_turn_twice, "I5 endings"),
    (_leave_a_turn_running, "I9 stuck"),
]


@pytest.mark.parametrize("log_name", ["postgres"])
async def test_each_harm_done_to_a_real_history_is_seen(fleet: Fleet, client: Client) -> None:
    fleet.worker()

    async def converse(number: int) -> list[str]:
        return [await client.post(f"session-{number}", "steps", effects=2, n=2) for _ in range(4)]

    turns = [turn for done in await asyncio.gather(*map(converse, range(5))) for turn in done]
    await client.until_status(turns)
    history = await client.judge()

    for harm, promise in HARMS:
        found = violations(harm(history))
        assert any(line.startswith(promise) for line in found), (harm.__name__, found)
