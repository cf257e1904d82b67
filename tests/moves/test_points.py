"""The matrix of kills of moves has every state of a move, and every point that the code of moves passes."""

import re
from pathlib import Path

import pytest

from argosy.store.move import MoveState
from tests.crash import test_moves as killed
from tests.moves.points import BACK, FORWARD, POINTS

MAINTENANCE = Path(__file__).parents[2] / "workers" / "maintenance"
REACHED = re.compile(r"crash_points\.reach\((f?)\"([^\"]+)\"\)")
_BY_STATE = "move_{to}_noted"  # of each state that a step writes
# A move that is only planned has touched nothing. What is written by a function of its own has a point of its own.
STEPPED = set(MoveState) - {MoveState.PLANNED, MoveState.SWITCHED, MoveState.ABORTED}


def passed() -> set[str]:
    """The points that the code of moves passes."""
    found = {name for path in MAINTENANCE.glob("move*.py") for _, name in REACHED.findall(path.read_text())}
    assert _BY_STATE in found
    return (found - {_BY_STATE}) | {f"move_{each}_noted" for each in STEPPED}


def test_every_point_that_a_move_passes_can_be_armed() -> None:
    assert passed() == set(POINTS)


def test_every_state_of_a_move_is_one_at_which_somebody_is_killed() -> None:
    assert {f"move_{each}_noted" for each in MoveState if each is not MoveState.PLANNED} <= set(POINTS)


def test_every_point_of_a_move_is_in_the_matrix_with_each_victim() -> None:
    matrix = killed.test_whoever_is_killed_in_whatever_state_no_write_is_lost_and_no_read_is_old
    values: dict[str, list[str]] = {
        mark.args[0]: list(mark.args[1])
        for mark in matrix.pytestmark  # type: ignore[attr-defined]
        if mark.name == pytest.mark.parametrize.name
    }

    assert sorted(values["point"]) == sorted(passed())
    assert sorted(values["victim"]) == ["leader", "source", "target"]


def test_a_point_is_on_the_way_forward_or_on_the_way_back() -> None:
    assert sorted([*FORWARD, *BACK]) == sorted(POINTS)
