"""What a turn's waits, timers and signals cost grows with their number, not with its square: counted, not timed."""

import uuid
from collections.abc import Callable

import pytest

from argosy.turn.events import Event
from argosy.turn.wait import WaitKind
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.execution.turn_waits import TurnWaits
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.signals import Signal
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.replay import Replay
from tests.dispatch.joined_parts import make_turn
from tests.harness.hand_clock import HandClock
from tests.harness.line_count import counted_lines


class _Journal:
    """Writes events into a turn without a history."""

    replay = Replay([])

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def is_hidden(self, key: str) -> bool:
        return False

    def record(self, event: Event, key: str, data: bytes) -> None:
        self._turn.write(event, key, data)


def _waits(turn: Turn) -> TurnWaits:
    return TurnWaits(turn, _Journal(turn), DatabaseClock(HandClock(0.0)))


def _signal(number: int) -> Signal:
    return Signal(uuid.UUID(int=number + 1), "go", b"1")


def _signals_that_came_before_their_waits(turn: Turn, size: int) -> None:
    waits = _waits(turn)
    for number in range(size):
        waits.deliver(_signal(number))
    for number in range(size):
        waits.begin(f"signal:go#{number}", WaitKind.SIGNAL, "go", None)
    assert [waits.next_over() is not None for _ in range(size)] == [True] * size
    assert list(turn.signals) == []


def _waits_for_signals_of_one_name(turn: Turn, size: int) -> None:
    waits = _waits(turn)
    for number in range(size):
        waits.begin(f"signal:go#{number}", WaitKind.SIGNAL, "go", 60)
    for number in range(size):
        waits.deliver(_signal(number))
        assert waits.next_over() is not None
    assert turn.inbox == {}


def _timers_that_are_given_up(turn: Turn, size: int) -> None:
    waits = _waits(turn)
    for number in range(size):
        waits.begin(f"sleep#{number}", WaitKind.SLEEP, "", 60)
    assert len(turn.inbox) == size
    for number in range(size):
        waits.leave(f"sleep#{number}")
    assert turn.inbox == {}


@pytest.mark.parametrize(
    "way", [_signals_that_came_before_their_waits, _waits_for_signals_of_one_name, _timers_that_are_given_up]
)
def test_ten_times_as_many_cost_ten_times_as_much(way: Callable[[Turn, int], None]) -> None:
    few, many = _lines(way, 50), _lines(way, 500)

    assert many < 11 * few


def _lines(way: Callable[[Turn, int], None], size: int) -> int:
    turn = make_turn(Owned(0, 1, (0, 1023)))
    with counted_lines("dispatch") as count:
        way(turn, size)
    return count.lines
