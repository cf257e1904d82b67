"""I3: a step's effect has one key, and happens again only where a disruption could have hit it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tests.checker.seen import Effect, History

_OUTCOMES = frozenset({"step.completed", "step.failed"})


class _Step(NamedTuple):
    turn_id: str
    step_key: str

    def __str__(self) -> str:
        return f"step {self.step_key} of turn {self.turn_id}"


def effects_once(history: History) -> Iterator[str]:
    """One key per step, one step per key; a repetition needs a disruption, a new attempt, and no recorded outcome."""
    yield from _keys(history)
    effects: dict[_Step, list[Effect]] = defaultdict(list)
    for effect in history.effects:
        effects[_Step(effect.turn_id, effect.step_key)].append(effect)
    recorded = _recorded(history)
    leading = _leading(history)
    for step, of_step in effects.items():
        succeeded = [effect for effect in of_step if effect.succeeded]
        if len(succeeded) > 1:
            if not history.disruptions:
                yield f"I3 repeated: {step} succeeded {len(succeeded)} times and nothing had failed"
            elif history.repeatable is not None and step.turn_id not in history.repeatable:
                yield f"I3 repeated: {step} succeeded {len(succeeded)} times and nothing had happened to it"
        if history.is_truth_old:
            continue
        # What runs first may have run before its turn's start was written: then the attempt is the same one again.
        if step not in leading:
            for attempt, count in Counter(effect.attempt for effect in succeeded if effect.attempt).items():
                if count > 1:
                    yield f"I3 unannounced: {step} succeeded {count} times in attempt {attempt}"
        if step in recorded and (late := [e.attempt for e in of_step if e.attempt > recorded[step]]):
            yield f"I3 ran again: {step} was recorded in attempt {recorded[step]} and runs in attempt {late[0]}"


def _keys(history: History) -> Iterator[str]:
    keys: dict[_Step, set[str]] = defaultdict(set)
    steps: dict[str, set[_Step]] = defaultdict(set)
    for effect in history.effects:
        step = _Step(effect.turn_id, effect.step_key)
        keys[step].add(effect.idempotency_key)
        steps[effect.idempotency_key].add(step)
    for step, used in keys.items():
        if len(used) > 1:
            yield f"I3 doubled: {step} has {len(used)} keys: {', '.join(sorted(used))}"
    for key, owners in steps.items():
        if len(owners) > 1:
            yield f"I3 shared: key {key} was used by {len(owners)} steps"


def _recorded(history: History) -> dict[_Step, int]:
    """In which attempt the outcome of a step was recorded."""
    return {
        _Step(read.turn_id, event.key): event.attempt
        for read in history.reads.values()
        for event in read.events
        if event.type in _OUTCOMES
    }


def _leading(history: History) -> set[_Step]:
    """Steps that began before any effect of their turn was over."""
    over: dict[str, int] = {}
    found = set()
    for effect in sorted(history.effects):
        if effect.started < over.get(effect.turn_id, effect.started + 1):
            found.add(_Step(effect.turn_id, effect.step_key))
        if effect.finished:
            over[effect.turn_id] = min(over.get(effect.turn_id, effect.finished), effect.finished)
    return found
