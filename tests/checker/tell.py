"""What is known of the turns that broke a promise, for whoever has to find out why."""

from datetime import UTC, datetime

from tests.checker.seen import History

_TURNS_MAX = 3


def told(history: History, found: list[str]) -> str:
    """Events, effects and requests of the first turns that the lines name, in order."""
    turns = {read.turn_id: read for read in history.reads.values()}
    named = [turn_id for turn_id in turns if any(turn_id in line for line in found)]
    lines = []
    for turn_id in named[:_TURNS_MAX]:
        read = turns[turn_id]
        lines.append(f"\n{turn_id} of {read.session}: {read.status}")
        lines += [f"  event {e.seq} attempt {e.attempt} {e.type} {e.key} {str(e.data)[:100]}" for e in read.events]
        lines += [
            f"  effect {e.started}..{e.finished} attempt {e.attempt} {e.step_key} {'ok' if e.succeeded else 'failed'}"
            f" from {e.pid} at {datetime.fromtimestamp(e.at_s, UTC):%H:%M:%S.%f}"
            for e in history.effects
            if e.turn_id == turn_id
        ]
    return "\n".join(lines)
