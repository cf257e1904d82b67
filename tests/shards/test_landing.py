"""What a shard does with a graph that it receives, whatever is sent again, late, or wrongly."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from argosy.errors import CopyBrokenError, WrongOwnerError
from argosy.graph.copies import CopyPart, CopySums, Received
from argosy.graph.facts import GraphRef, GraphState, Stats
from argosy.shards.engine import Engine
from tests.shards.copied import begin_copy, contents, send, take_all
from tests.shards.engines import Opened, apply, facts_of, knows, never, new_ref, person

COPY = uuid.UUID(int=9)
NOTHING = Received(0, 0, is_whole=False, is_landed=False)


class Sent(NamedTuple):
    """What was sent of a graph that is sealed."""

    sums: CopySums
    stats: Stats


@pytest.fixture
def target(opened: Opened, tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path / "target")
    yield engine
    engine.close()


@pytest.fixture
def sent(engine: Engine, ref: GraphRef, target: Engine) -> Sent:
    """A graph, sealed, whose base and tail the target has."""
    apply(engine, ref, person("ada", text="x" * 10_000), key="one")
    copy = begin_copy(engine, ref)
    apply(engine, ref, person("bob"), knows("ada", "bob"), key="two")
    stats = engine.set_state(ref, GraphState.SEALED, 1)
    sums = send(copy, ref, target, COPY)
    copy.end()
    return Sent(sums, stats)


def files_of(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("??/*"))


def is_served(engine: Engine, ref: GraphRef) -> bool:
    try:
        facts_of(engine, ref)
    except WrongOwnerError:
        return False
    return True


def test_what_is_received_is_no_graph(target: Engine, ref: GraphRef, sent: Sent) -> None:
    target.landings.land(ref, COPY, *sent)

    assert target.list(never) == []
    assert not is_served(target, ref)


def test_a_graph_lands_and_is_served_in_the_next_generation(
    engine: Engine, target: Engine, ref: GraphRef, sent: Sent, tmp_path: Path
) -> None:
    landed = target.landings.land(ref, COPY, *sent)
    active = target.landings.activate(ref, COPY, 2)

    moved = ref._replace(generation=2)
    assert (landed.state, landed.generation) == (GraphState.SEALED, 1)
    assert (active.state, active.generation, active.version) == (GraphState.ACTIVE, 2, 2)
    assert not is_served(target, ref)
    assert contents(target, moved) == contents(engine, ref)
    assert apply(target, moved, person("bob"), knows("ada", "bob"), key="two").version == 2
    assert apply(target, moved, person("cy")).version == 3
    assert [name for name in files_of(tmp_path / "target") if "landing" in name] == []


def test_every_call_may_be_made_again(engine: Engine, target: Engine, ref: GraphRef, sent: Sent) -> None:
    for _ in range(2):
        assert target.landings.land(ref, COPY, *sent).version == 2
    for _ in range(2):
        assert target.landings.activate(ref, COPY, 2).generation == 2

    assert is_served(target, ref._replace(generation=2))
    assert engine.set_state(ref, GraphState.SEALED, 1).state is GraphState.SEALED


def test_it_goes_on_where_the_process_before_ended(
    opened: Opened, target: Engine, ref: GraphRef, sent: Sent, tmp_path: Path
) -> None:
    left = shutil.copytree(tmp_path / "target", tmp_path / "left")
    with closing(opened(left)) as received:
        assert received.landings.received(ref, COPY)[2:] == (True, False)
        received.landings.land(ref, COPY, *sent)
    with closing(opened(left)) as landed:
        assert landed.landings.received(ref, COPY)[2:] == (True, True)
        landed.landings.activate(ref, COPY, 2)

    with closing(opened(left)) as active:
        assert active.landings.received(ref, COPY) == NOTHING
        assert is_served(active, ref._replace(generation=2))


def test_a_base_that_is_not_what_was_sent_leaves_nothing(engine: Engine, target: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))
    copy = begin_copy(engine, ref)
    *parts, last = copy.base(ref, 0)
    wrong = parts[0]._replace(data=bytes(len(parts[0].data)))

    target.landings.take(ref, COPY, wrong, is_tail=False)
    with pytest.raises(CopyBrokenError, match="not what was sent"):
        target.landings.take(ref, COPY, last, is_tail=False)

    assert target.landings.received(ref, COPY) == NOTHING
    assert take_all(target, ref, COPY, copy.base(ref, 0)) == last
    copy.end()


def test_a_tail_that_is_not_what_was_sent_does_not_land(target: Engine, ref: GraphRef, sent: Sent) -> None:
    for sums in (
        sent.sums._replace(tail_sha256=bytes(32)),
        sent.sums._replace(tail_size_bytes=sent.sums.tail_size_bytes - 1),
        sent.sums._replace(base_sha256=bytes(32)),
    ):
        with pytest.raises(CopyBrokenError):
            target.landings.land(ref, COPY, sums, sent.stats)

    assert target.landings.land(ref, COPY, *sent).version == 2


def test_a_graph_that_is_not_the_expected_one_does_not_land(target: Engine, ref: GraphRef, sent: Sent) -> None:
    with pytest.raises(CopyBrokenError):
        target.landings.land(ref, COPY, sent.sums, sent.stats._replace(version=3))
    with pytest.raises(CopyBrokenError):
        target.landings.activate(ref, COPY, 2)

    assert target.landings.land(ref, COPY, *sent).version == 2


def test_parts_that_do_not_continue_what_is_there_are_refused(target: Engine, ref: GraphRef, sent: Sent) -> None:
    copy_id = uuid.uuid4()

    with pytest.raises(CopyBrokenError):
        target.landings.take(ref, copy_id, CopyPart(10, b"x", 20), is_tail=False)
    with pytest.raises(CopyBrokenError):
        target.landings.take(ref, copy_id, CopyPart(0, b"x", 20), is_tail=True)
    with pytest.raises(CopyBrokenError):
        target.landings.take(ref, COPY, CopyPart(sent.sums.tail_size_bytes + 1, b"x", 20), is_tail=True)
    assert not target.landings.take(ref, COPY, CopyPart(0, b"x", 20), is_tail=False)

    assert target.landings.land(ref, COPY, *sent).version == 2


def test_what_is_sent_behind_its_landing_changes_nothing(target: Engine, ref: GraphRef, sent: Sent) -> None:
    target.landings.land(ref, COPY, *sent)

    for is_tail in (False, True):
        assert not target.landings.take(ref, COPY, CopyPart(0, b"x", 20), is_tail=is_tail)

    assert target.landings.activate(ref, COPY, 2).version == 2


def test_nothing_of_a_move_that_was_abandoned_lands(
    engine: Engine, target: Engine, ref: GraphRef, sent: Sent, tmp_path: Path
) -> None:
    target.landings.land(ref, COPY, *sent)
    for _ in range(2):
        target.landings.abandon(ref)

    assert files_of(tmp_path / "target") == []
    for late in (
        lambda: target.landings.land(ref, COPY, *sent),
        lambda: target.landings.activate(ref, COPY, 2),
        lambda: target.landings.received(ref, COPY),
    ):
        with pytest.raises((WrongOwnerError, CopyBrokenError)):
            late()
    opened_again = engine.set_state(ref, GraphState.ACTIVE, 2)
    assert opened_again.state is GraphState.ACTIVE
    copy, again = begin_copy(engine, ref._replace(generation=2)), ref._replace(generation=2)
    target.landings.land(again, COPY, send(copy, again, target, COPY), opened_again)
    assert target.landings.activate(again, COPY, 3).generation == 3
    copy.end()


def test_a_graph_that_is_served_is_not_abandoned(target: Engine, ref: GraphRef, sent: Sent) -> None:
    target.landings.land(ref, COPY, *sent)
    target.landings.activate(ref, COPY, 2)

    target.landings.abandon(ref)
    with pytest.raises(WrongOwnerError):
        target.landings.abandon(ref._replace(generation=2))

    assert is_served(target, ref._replace(generation=2))


def test_a_graph_that_is_dropped_meanwhile_does_not_land(
    target: Engine, ref: GraphRef, sent: Sent, tmp_path: Path
) -> None:
    target.drop(ref)

    with pytest.raises(WrongOwnerError):
        target.landings.land(ref, COPY, *sent)
    assert files_of(tmp_path / "target") == []


@pytest.mark.parametrize("is_landed", [False, True])
def test_a_graph_does_not_land_beside_another_life_of_its_name(
    target: Engine, ref: GraphRef, sent: Sent, *, is_landed: bool
) -> None:
    if is_landed:
        target.landings.land(ref, COPY, *sent)
    other = new_ref()
    target.create(other)

    with pytest.raises(WrongOwnerError, match="another life"):
        target.landings.activate(ref, COPY, 2) if is_landed else target.landings.land(ref, COPY, *sent)
    with pytest.raises(WrongOwnerError, match="another life"):
        target.landings.take(ref, uuid.uuid4(), CopyPart(0, b"x", 20), is_tail=False)
    with pytest.raises(WrongOwnerError, match="another life"):
        target.landings.received(ref, uuid.uuid4())

    target.drop(other)
    target.landings.land(ref, COPY, *sent)
    assert target.landings.activate(ref, COPY, 2).generation == 2


def test_nothing_is_received_of_a_graph_that_is_here(engine: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"))

    with pytest.raises(WrongOwnerError, match="the graph is here"):
        engine.landings.take(ref._replace(generation=7), COPY, CopyPart(0, b"x", 20), is_tail=False)

    assert is_served(engine, ref)


def test_a_copy_is_another_graph_where_it_is_to_be_one(engine: Engine, target: Engine, ref: GraphRef) -> None:
    apply(engine, ref, person("ada"), key="one")
    copy, other = begin_copy(engine, ref), new_ref("globex", "people-2", generation=7)

    sums = send(copy, other._replace(generation=6), target, COPY, ref)
    with pytest.raises(CopyBrokenError):
        target.landings.land(other, COPY, sums, None)
    target.landings.land(other._replace(generation=6), COPY, sums, None)
    target.landings.activate(other._replace(generation=6), COPY, 7)

    assert contents(target, other) == contents(engine, ref)
    assert [name for name, _ in target.list(never)] == [("globex", "people-2")]
    copy.end()


def test_copies_that_nobody_goes_on_with_are_removed(target: Engine, ref: GraphRef, sent: Sent, tmp_path: Path) -> None:
    target.landings.forget_idle(0)
    assert target.landings.received(ref, COPY).is_whole
    target.landings.forget_idle(2**50)

    assert target.landings.received(ref, COPY) == NOTHING
    assert files_of(tmp_path / "target") == []


@pytest.mark.parametrize("state", [GraphState.ACTIVE, GraphState.SEALED])
def test_a_state_goes_back_in_a_later_generation_alone(engine: Engine, ref: GraphRef, state: GraphState) -> None:
    engine.set_state(ref, GraphState.SEALED, 1)
    engine.set_state(ref, GraphState.RETIRED, 1)

    assert engine.set_state(ref, state, 1).state is GraphState.RETIRED
    for _ in range(2):
        assert engine.set_state(ref, GraphState.ACTIVE, 2)[1:3] == (2, GraphState.ACTIVE)
    for late in (GraphState.SEALED, GraphState.RETIRED):
        with pytest.raises(WrongOwnerError):
            engine.set_state(ref, late, 1)

    assert is_served(engine, ref._replace(generation=2))
