"""Which graphs move: the share of a shard that comes or goes, and no others."""

import uuid
from collections import Counter

import pytest

from argosy.graph.placement import place
from argosy.store.move import Placed
from argosy.workers.maintenance.plan import to_move

NAMES = [f"graph-{number}" for number in range(4_000)]
SHARDS = [uuid.UUID(int=number) for number in range(1, 7)]


def placed(members: list[uuid.UUID]) -> list[Placed]:
    return [Placed("acme", name, uuid.UUID(int=0), place(members, "acme", name), 1) for name in NAMES]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_shard_that_comes_takes_its_share_of_all_others_alike(count: int) -> None:
    before, after = SHARDS[:count], SHARDS[: count + 1]

    planned = to_move(placed(before), after)

    assert {each.target for each in planned} == {after[-1]}
    assert len(planned) / len(NAMES) == pytest.approx(1 / (count + 1), rel=0.07)
    taken = Counter(each.placed.shard for each in planned)
    assert min(taken.values()) > max(taken.values()) * 0.7


@pytest.mark.parametrize("count", [2, 6])
def test_a_shard_that_goes_gives_its_graphs_and_no_others_to_all_others_alike(count: int) -> None:
    before, after = SHARDS[:count], SHARDS[: count - 1]
    graphs = placed(before)

    planned = to_move(graphs, after)

    assert {each.placed.graph for each in planned} == {each.graph for each in graphs if each.shard == before[-1]}
    given = Counter(each.target for each in planned)
    assert min(given.values()) > max(given.values()) * 0.7


def test_what_is_where_it_belongs_stays() -> None:
    assert to_move(placed(SHARDS), SHARDS) == []


def test_with_no_shard_that_takes_graphs_nothing_moves() -> None:
    assert to_move(placed(SHARDS), []) == []
