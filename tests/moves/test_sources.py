"""A source that never comes back."""

import pytest

from argosy.errors import WrongOwnerError
from argosy.store.move import MoveState
from argosy.store.shards import Removal
from tests.moves.conftest import Fleet


@pytest.mark.parametrize("point", ["move_switched_noted", "move_activated_noted"])
async def test_a_shard_that_is_gone_for_good_is_removed_once_its_graph_is_served_elsewhere(
    fleet: Fleet, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada")
    for each in await fleet.directory.list("acme", "", 100):  # what the search for a name has left
        if each.ref != row.ref:
            await (await fleet.gateway()).drop("acme", each.graph)
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until(point, monkeypatch)
    one = fleet.member("one")
    early = await fleet.changes.remove(one.member_id)
    fleet.shards.folders["one"].copied.source.clear()
    for bound in ("_CALL_S", "_CLEAN_S"):
        monkeypatch.setattr(f"argosy.workers.maintenance.move.{bound}", 0.2)
    fleet.shards.down.add("one")

    leader = await fleet.leader()
    await leader.tick()
    waiting = [(each.state, each.reason) for each in await fleet.moves()]
    removed = await fleet.changes.remove(one.member_id)
    await fleet.make_due()
    await leader.tick()

    assert early.outcome is Removal.HOLDS
    assert waiting == [(MoveState.ACTIVATED, "ShardUnavailableError: connection refused")]
    assert removed.outcome is Removal.REMOVED
    assert await fleet.states() == [MoveState.DONE]
    graph = (await fleet.gateway()).of("acme", row.graph)
    assert None not in await graph.get_nodes(["ada"], deadline_s=1)
    fleet.shards.down.clear()
    with pytest.raises(WrongOwnerError):
        await fleet.shards.to(one).get_nodes(row.ref, ["ada"], deadline_s=1)
