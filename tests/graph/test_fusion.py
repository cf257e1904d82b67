"""Rankings are fused by rank: what several of them have comes first."""

from hypothesis import given
from hypothesis import strategies as st

from argosy.graph.facts import Hit, Node, Source
from argosy.graph.fusion import OFFSET, fuse, fuse_hits


def _hit(node_id: str, score: float) -> Hit:
    return Hit(Node(node_id, "Person", b"{}", 1, Source()), score)


def test_what_two_rankings_have_comes_before_what_one_has_first() -> None:
    assert [item for item, _ in fuse([["a", "b"], ["c", "b"]])] == ["b", "a", "c"]


def test_one_ranking_stays_as_it_is() -> None:
    assert fuse([["a", "b"]]) == [("a", 1 / (OFFSET + 1)), ("b", 1 / (OFFSET + 2))]


def test_nothing_is_fused_to_nothing() -> None:
    assert fuse([]) == []
    assert fuse([[], []]) == []


def test_scores_of_searches_that_cannot_be_compared_decide_nothing() -> None:
    by_text = [_hit("ada", 1_000.0), _hit("bob", 999.0)]
    by_vector = [_hit("bob", 0.9), _hit("cy", 0.8)]
    assert [hit.node.id for hit in fuse_hits([by_text, by_vector], 2)] == ["bob", "ada"]


@given(st.lists(st.lists(st.integers(0, 9))))
def test_every_item_is_there_once_and_scores_fall(rankings: list[list[int]]) -> None:
    fused = fuse(rankings)
    assert sorted(item for item, _ in fused) == sorted({item for ranking in rankings for item in ranking})
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)
