"""Where new graphs go: the same everywhere and for ever, evenly, and mostly unmoved when shards come and go."""

import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.graph.placement import place, score_of

SHARDS = [uuid.UUID(int=number) for number in range(1, 9)]
NAMES = [("acme", f"graph-{number}") for number in range(4_000)]


@pytest.mark.parametrize(
    ("tenant", "graph", "score", "nth"),
    [
        ("acme", "crm", 0x5C493C46F8DC3410, 7),
        ("acme", "Acme/Corp", 0xDAB0FDBFC92CD4E4, 0),
        ("acme", "acme_corp", 0xD50A0BF4B232E14F, 0),
        ("acme", "日本", 0x6881E905A108D457, 6),
        ("a", "cme/crm", 0xA179B6BCDC9778D2, 6),
    ],
)
def test_golden_values(tenant: str, graph: str, score: int, nth: int) -> None:
    assert (score_of(SHARDS[0], tenant, graph), SHARDS.index(place(SHARDS, tenant, graph))) == (score, nth)


def test_tenant_and_graph_do_not_run_into_each_other() -> None:
    assert score_of(SHARDS[0], "ab", "c") != score_of(SHARDS[0], "a", "bc")


def test_shards_get_about_as_many_graphs_each() -> None:
    counts = Counter(place(SHARDS, *name) for name in NAMES)

    assert set(counts) == set(SHARDS)
    assert max(counts.values()) < 1.25 * min(counts.values())


def test_one_shard_more_takes_its_share_and_moves_nothing_else() -> None:
    before = {name: place(SHARDS[:7], *name) for name in NAMES}

    moved = [name for name in NAMES if place(SHARDS, *name) != before[name]]

    assert {place(SHARDS, *name) for name in moved} == {SHARDS[7]}
    assert len(moved) == pytest.approx(len(NAMES) / 8, rel=0.2)


@given(st.lists(st.uuids(), min_size=2, max_size=8, unique=True), st.text(max_size=20))
def test_a_shard_less_moves_its_own_graphs_only_in_whatever_order(members: list[uuid.UUID], graph: str) -> None:
    here = place(members, "acme", graph)

    assert place(members[::-1], "acme", graph) == here
    for gone in members:
        left = [each for each in members if each != gone]
        assert (place(left, "acme", graph) == here) == (gone != here)
