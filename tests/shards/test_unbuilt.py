"""Graphs of which no view could be made: how long their queries have the error of that."""

import uuid

import pytest

from argosy.errors import ArgosyError, GraphTooLargeError, ViewLostError
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, UpsertNode
from argosy.shards.unbuilt import SlowBuildError, Unbuilt
from tests.shards.engines import new_ref

REF = new_ref()
LARGE = GraphTooLargeError("no room")


def is_refused(unbuilt: Unbuilt, now_s: float) -> bool:
    try:
        unbuilt.check(REF, now_s)
    except ArgosyError:
        return True
    return False


def failed(fault: ArgosyError, took_s: float) -> Unbuilt:
    unbuilt = Unbuilt()
    unbuilt.failed(REF, fault, took_s, 0.0)
    return unbuilt


def test_after_any_failure_there_is_a_pause() -> None:
    unbuilt = failed(ViewLostError("killed"), 60.0)

    assert is_refused(unbuilt, 4.9)
    assert not is_refused(unbuilt, 5.0)
    assert not is_refused(unbuilt, 4.9)


@pytest.mark.parametrize(
    "deletion",
    [DeleteNode("b"), DeleteEdge("a", "T", "b"), MergeProps({"born": 1815, "text": None}, id="b")],
    ids=["a node", "an edge", "a property"],
)
def test_a_graph_that_had_no_room_is_refused_until_something_was_deleted_from_it(deletion: Op) -> None:
    unbuilt = failed(LARGE, 60.0)

    unbuilt.committed(REF, [UpsertNode("a", "N"), MergeProps({"born": 1815, "text": ""}, id="b")])
    assert is_refused(unbuilt, 1e9)
    unbuilt.committed(REF, [UpsertNode("a", "N"), deletion])
    assert not is_refused(unbuilt, 1e9)


def test_builds_of_a_graph_that_shrinks_all_the_time_are_few() -> None:
    unbuilt = failed(LARGE, 60.0)

    unbuilt.committed(REF, [DeleteNode("b")])

    assert is_refused(unbuilt, 599.9)
    assert not is_refused(unbuilt, 600.0)


def test_a_graph_that_was_read_too_slowly_is_read_again_some_time() -> None:
    unbuilt = failed(SlowBuildError("slow"), 120.0)

    assert is_refused(unbuilt, 1_199.9)
    assert not is_refused(unbuilt, 1_200.0)


def test_another_life_of_the_graph_is_another_graph() -> None:
    unbuilt = failed(LARGE, 1.0)

    unbuilt.check(REF._replace(incarnation=uuid.uuid4()), 0.0)


def test_what_was_replaced_is_tried_at_once() -> None:
    unbuilt = failed(LARGE, 1.0)

    unbuilt.forget(REF)

    assert not is_refused(unbuilt, 0.0)


def test_so_many_are_remembered() -> None:
    unbuilt = failed(LARGE, 1.0)

    refs = [new_ref(graph=str(number)) for number in range(1_000)]
    for ref in refs:
        unbuilt.failed(ref, LARGE, 1.0, 0.0)

    assert not is_refused(unbuilt, 0.0)
    for ref in refs:
        with pytest.raises(GraphTooLargeError):
            unbuilt.check(ref, 0.0)


def test_each_query_has_an_error_of_its_own_which_keeps_nothing_of_it() -> None:
    unbuilt = failed(LARGE, 1.0)

    with pytest.raises(GraphTooLargeError, match="no room") as first:
        unbuilt.check(REF, 0.0)
    with pytest.raises(GraphTooLargeError, match="no room") as second:
        unbuilt.check(REF, 0.0)

    assert first.value is not second.value
    assert LARGE.__traceback__ is None
