"""The access control list of a graph is in its file: it is there after a start, and goes with the graph."""

import json
import uuid
from pathlib import Path

import pytest

from argosy.errors import GraphInputError, WrongOwnerError
from argosy.graph.acl import GraphAcl
from argosy.graph.facts import GraphState
from argosy.shards.engine import Engine
from tests.shards.copied import begin_copy, contents, send
from tests.shards.engines import Opened, apply, new_ref, person

ACL = GraphAcl(read=("*",), admin=("user:ada",))
HIDDEN = person("bob", _acl={"read": ["user:ada"]})


def test_it_is_there_after_a_start(opened: Opened, tmp_path: Path) -> None:
    engine, ref = opened(tmp_path), new_ref()
    engine.create(ref)
    engine.graph(ref).set_acl(ref, GraphAcl())
    engine.graph(ref).set_acl(ref, ACL)
    engine.close()

    engine = opened(tmp_path)
    assert engine.graph(ref).acl(ref) == ACL
    engine.graph(ref).set_acl(ref, None)
    engine.close()

    engine = opened(tmp_path)
    assert engine.graph(ref).acl(ref) is None
    engine.close()


def test_it_moves_with_its_graph_and_is_not_changed_meanwhile(opened: Opened, tmp_path: Path) -> None:
    source, target, ref, copy_id = opened(tmp_path / "a"), opened(tmp_path / "b"), new_ref(), uuid.uuid4()
    source.create(ref)
    apply(source, ref, person("ada"), HIDDEN)
    copy = begin_copy(source, ref)
    source.graph(ref).set_acl(ref, ACL)  # it is in what came after the copy had begun
    source.set_state(ref, GraphState.SEALED, 1)
    with pytest.raises(WrongOwnerError):
        source.graph(ref).set_acl(ref, None)

    moved = ref._replace(generation=2)
    target.landings.land(moved, copy_id, send(copy, moved, target, copy_id, ref), None)
    target.landings.activate(moved, copy_id, 2)
    copy.end()

    assert target.graph(moved).acl(moved) == ACL
    assert contents(target, moved) == contents(source, ref)
    source.close()
    target.close()


def test_it_is_in_an_export(engine: Engine) -> None:
    ref, copy = new_ref(), new_ref(graph="copy")
    engine.create(ref)
    apply(engine, ref, HIDDEN)
    without, *_ = engine.graph(ref).export(ref)
    engine.graph(ref).set_acl(ref, ACL)
    lines = list(engine.graph(ref).export(ref))

    engine.restore(copy, lines)

    assert "acl" not in json.loads(without)  # such a copy is what versions before read
    assert engine.graph(copy).acl(copy) == ACL
    assert contents(engine, copy) == contents(engine, ref)


@pytest.mark.parametrize("acl", [{"read": "ada"}, {"read": [""]}, {"read": ["a"] * 257}, []])
def test_a_copy_with_a_list_that_is_none_makes_no_graph(engine: Engine, acl: object) -> None:
    ref, copy = new_ref(), new_ref(graph="copy")
    engine.create(ref)
    first, *rest = engine.graph(ref).export(ref)

    with pytest.raises(GraphInputError, match="line 1"):
        engine.restore(copy, [json.dumps(json.loads(first) | {"acl": acl}).encode(), *rest])


def test_another_life_of_a_name_has_no_list(engine: Engine) -> None:
    ref, again = new_ref(), new_ref()
    engine.create(ref)
    engine.graph(ref).set_acl(ref, ACL)
    engine.drop(ref)
    engine.create(again)

    assert engine.graph(again).acl(again) is None
    with pytest.raises(WrongOwnerError):
        engine.graph(again).set_acl(ref, ACL)
