"""Decides whether a run kept its promises, from nothing but what clients saw and what an idempotent sink received.

`violations(history)` answers in plain words, one line per broken promise; an empty list is a clean run. Pure: it asks
no server and knows no schema. The numbers are those of the promises: I1 durable, I2 one at a time in order, I3 recorded
once, I5 one ending, I6 numbered events, I7 signals, I9 nothing stuck.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tests.checker.once import effects_once
from tests.checker.order import order, overlaps
from tests.checker.seen import UNCERTAIN, History, Read, resolved

ENDING_EVENT: Final = {
    "completed": "turn.completed",
    "failed": "turn.failed",
    "cancelled": "turn.cancelled",
    "expired": "turn.expired",
    "rejected": "turn.rejected",
}
SETTLED: Final = frozenset({"step.completed", "step.failed", "wait.completed", "wait.timed_out", "value.recorded"})


def violations(history: History) -> list[str]:
    """Every broken promise, in plain words; [] when all were kept."""
    found: list[str] = []
    for check in (_endings, _keys, _ghosts, effects_once, order, overlaps, _signals):
        found += check(history)
    for read in {read.turn_id: read for read in history.reads.values()}.values():
        found += _story(read)
    return found


def _endings(history: History) -> Iterator[str]:
    """I1, I5, I9: what was answered 202 has ended, or waits as it is meant to."""
    succeeded: dict[str, set[str]] = defaultdict(set)
    for effect in history.effects:
        if effect.succeeded:
            succeeded[effect.turn_id].add(effect.step_key)
    for request in history.requests:
        if request.status not in (200, 202) or request.turn_id is None:
            continue
        read = history.reads.get(request.turn_id)
        if read is None:
            yield f"I1 lost: turn {request.turn_id} of {request.session} was answered {request.status} and is not there"
        elif read.status in ENDING_EVENT:
            reached = len(succeeded[read.turn_id])
            if request.effects is not None and read.status == "completed" and reached != request.effects:
                yield f"I3 effects: turn {read.turn_id} completed with {reached} of {request.effects} steps at the sink"
        elif request.turn_id not in history.waiting and read.turn_id not in history.waiting:
            yield f"I9 stuck: turn {read.turn_id} of {request.session} is {read.status} at the end"


def _keys(history: History) -> Iterator[str]:
    """I5: repetitions under one key are one turn, and different requests are different turns."""
    by_key: dict[tuple[str, str], set[str]] = defaultdict(set)
    requests_of: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for number, request in enumerate(history.requests):
        turn_id = resolved(history, request.turn_id)
        if request.status not in (200, 202) or turn_id is None:
            continue
        name = (request.session, request.key or f"request {number}")
        requests_of[turn_id].add(name)
        if request.key:
            by_key[name].add(turn_id)
    for (session, key), turns in by_key.items():
        if len(turns) > 1:
            yield f"I5 doubled: key {key} of {session} became {len(turns)} turns: {', '.join(sorted(turns))}"
    for shared, names in requests_of.items():
        if len(names) > 1:
            yield f"I5 merged: turn {shared} answers {len(names)} different requests"


def _ghosts(history: History) -> Iterator[str]:
    """I1: a turn that nobody was told of can only be one whose outcome its client does not know."""
    known = {read.turn_id for read in history.reads.values()} | {r.turn_id for r in history.requests}
    uncertain = Counter(request.session for request in history.requests if request.status in UNCERTAIN)
    ghosts: dict[str, set[str]] = defaultdict(set)
    for effect in history.effects:
        if effect.turn_id not in known:
            ghosts[effect.session].add(effect.turn_id)
    for session, turns in ghosts.items():
        if len(turns) > uncertain[session]:
            yield f"I1 ghost: {len(turns)} turns of {session} ran that no client asked for: {', '.join(sorted(turns))}"


def _signals(history: History) -> Iterator[str]:
    """I7: what was acknowledged arrives, once, at the turn it was sent to."""
    sent: dict[tuple[str, str], dict[Any, bool]] = defaultdict(dict)
    for number, signal in enumerate(history.signals):
        turn_id = resolved(history, signal.turn_id) or signal.turn_id
        if 200 <= signal.status < 300 or signal.status in UNCERTAIN:
            request = (signal.request_id or f"request {number}", signal.payload)
            is_sure = signal.status not in UNCERTAIN
            sent[turn_id, signal.name][request] = sent[turn_id, signal.name].get(request, False) or is_sure
    for read in {read.turn_id: read for read in history.reads.values()}.values():
        # A wait for a shard that is away, or a child, may have a name, too: it is no signal.
        began = [event for event in read.events if event.type == "wait.started"]
        names = {each.key: each.data.get("name") for each in began if each.data.get("kind") == "signal"}
        delivered: dict[str, list[Any]] = defaultdict(list)
        for event in read.events:
            if event.type == "wait.completed" and names.get(event.key):
                delivered[names[event.key]].append(event.data.get("payload"))
        open_names = set(names.values()) if read.status == "suspended" else set()
        for name in set(delivered) | open_names:
            offered = sent[read.turn_id, name]
            surplus = Counter(map(repr, delivered[name])) - Counter(repr(payload) for _, payload in offered)
            for payload, count in surplus.items():
                yield f"I7 doubled: turn {read.turn_id} got signal {name} {payload} {count} times too often"
            if read.status == "suspended" and sum(offered.values()) > len(delivered[name]):
                yield f"I7 lost: turn {read.turn_id} still waits although signal {name} was acknowledged"


def _story(read: Read) -> Iterator[str]:
    """I6 and I3: events are 1..n, attempts grow and announce themselves, outcomes are written once, one ending."""
    where = f"turn {read.turn_id}"
    numbers = [event.seq for event in read.events]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"I6 gap: events of {where} are numbered {_shortened(numbers)}"
    attempt = 0
    for event in read.events:
        if event.attempt < attempt:
            yield f"I6 attempt: event {event.seq} of {where} has attempt {event.attempt} after attempt {attempt}"
        elif event.attempt > attempt and event.attempt > 1 and event.type != "turn.reset":
            yield f"I6 reset: attempt {event.attempt} of {where} begins with {event.type} and not with turn.reset"
        attempt = max(attempt, event.attempt)
    outcomes = Counter(event.key for event in read.events if event.type in SETTLED)
    for key, count in outcomes.items():
        if count > 1:
            yield f"I3 recorded twice: {where} has {count} outcomes of {key}"
    endings = [event for event in read.events if event.type in ENDING_EVENT.values()]
    if len(endings) > 1:
        yield f"I5 endings: {where} ended {len(endings)} times: {', '.join(event.type for event in endings)}"
    expected = ENDING_EVENT.get(read.status)
    if expected and [event.type for event in endings[:1]] != [expected]:
        yield f"I5 ending: {where} is {read.status} and its story ends with {endings[0].type if endings else 'nothing'}"
    if endings and read.events[-1] is not endings[-1]:
        yield f"I5 after the end: {where} has {read.events[-1].type} after {endings[-1].type}"
    if endings and expected is None:
        yield f"I5 ending: {where} is {read.status} and its story has {endings[0].type}"


def _shortened(numbers: Iterable[int]) -> str:
    shown = list(numbers)
    return str(shown) if len(shown) <= 20 else f"{str(shown[:20])[:-1]}, … {len(shown)} in all]"
