"""What a process that was stopped still says when it wakes up, before it learns that others have taken over."""

from tests.checker.seen import Effect, History


def echoes(history: History) -> set[Effect]:
    """Repetitions under a key that a later attempt has used already, or, in the same attempt (its start was not written
    before the stop), from a process that was stopped. The sink takes them for what they are: they change nothing.
    """
    if not history.disruptions:
        return set()
    used: dict[str, tuple[int, int]] = {}
    found = set()
    for effect in sorted(history.effects):
        attempt, pid = used.get(effect.idempotency_key, (0, effect.pid))
        if effect.attempt < attempt or (
            effect.attempt == attempt and effect.pid != pid and effect.pid in history.stopped
        ):
            found.add(effect)
        else:
            used[effect.idempotency_key] = effect.attempt, effect.pid
    return found
