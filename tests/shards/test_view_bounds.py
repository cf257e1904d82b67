"""How many views work at once, and which idle ones stay beside them."""

import pytest

from argosy import config
from argosy.shards.bounds import ShardBounds
from argosy.shards.view_bounds import ViewBounds

BOUNDS = ViewBounds(
    count_max=5, memory_bytes_max=1_000, view_memory_bytes_max=300, behind_size_bytes_max=1, waiting_max=1
)


def test_by_default_a_few_graphs_are_asked_at_once_and_half_of_them_be_built() -> None:
    bounds = ShardBounds.of(config.load({})).views

    assert (bounds.working_max, bounds.builds_max) == (8, 4)
    assert bounds.working_max * bounds.view_memory_bytes_max <= bounds.memory_bytes_max


def test_as_many_work_as_memory_and_their_number_allow_and_one_at_the_least() -> None:
    assert BOUNDS.working_max == 3
    assert BOUNDS._replace(count_max=2).working_max == 2
    assert BOUNDS._replace(memory_bytes_max=200).working_max == 1


@pytest.mark.parametrize(("working", "builds"), [(1, 1), (2, 2), (5, 2), (8, 4), (50, 4)])
def test_half_of_those_at_work_may_be_built_a_few_at_once(working: int, builds: int) -> None:
    bounds = BOUNDS._replace(count_max=working, memory_bytes_max=working * BOUNDS.view_memory_bytes_max)

    assert bounds.builds_max == builds


def test_idle_views_stay_while_they_fit_beside_all_that_those_at_work_may_take() -> None:
    assert BOUNDS.surplus([100, 100, 100], working=2) == 0
    assert BOUNDS.surplus([100, 100, 300], working=2) == 1
    assert BOUNDS.surplus([100, 100, 100], working=3) == 2
    assert BOUNDS.surplus([], working=3) == 0


def test_the_one_that_was_used_last_stays_if_only_that_fits() -> None:
    assert BOUNDS.surplus([10, 10, 500], working=1) == 0
    assert BOUNDS.surplus([10, 10, 700], working=1) == 2
    assert BOUNDS.surplus([10, 10, 701], working=1) == 3


def test_so_many_views_there_are() -> None:
    assert BOUNDS.surplus([0] * 5, working=0) == 0
    assert BOUNDS.surplus([0] * 5, working=1) == 1
    assert BOUNDS._replace(count_max=1).surplus([0], working=1) == 1
