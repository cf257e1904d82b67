"""Moves that wait say what for: in their rows, beside their shards, and in the log."""

import pytest
from structlog.testing import capture_logs

from argosy.store.move import MoveState, moves_of_shards
from tests.graph.memory_shards import Fault
from tests.moves.conftest import Fleet, Led
from tests.moves.test_mover import assert_there


async def ticked(fleet: Fleet, leader: Led, times: int) -> list[str]:
    """Let a leader do what is due, so many times. Return why moves wait, as the log says it."""
    with capture_logs() as logs:
        for _ in range(times):
            await fleet.make_due()
            await leader.tick()
    return [each["why"] for each in logs if each["event"] == "move.waits"]


@pytest.mark.parametrize("old", ["one", "two"])
async def test_a_shard_of_a_version_that_knows_no_moves_is_asked_for_none(fleet: Fleet, old: str) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    fleet.shards.outdated.add(old)
    leader = await fleet.leader()

    said = await ticked(fleet, leader, 3)

    (move,) = await fleet.moves()
    assert (move.state, move.tries) == (MoveState.PLANNED, 3)
    assert f"shard {old}: it is of another version" in move.reason
    assert said == [move.reason], "once"
    assert (await moves_of_shards(fleet.pool))[fleet.member(old).member_id].waits_for == move.reason
    assert (await fleet.row(row)).generation == 1
    fleet.shards.outdated.clear()
    await ticked(fleet, leader, 1)
    await assert_there(fleet, row, "two", "ada")


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_move_that_is_given_up_says_why_and_what_it_waits_for(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, *, is_cancelled: bool
) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until("move_copied", monkeypatch)
    if is_cancelled:
        await fleet.changes.cancel(fleet.first_move_id)
    fleet.shards.faults += [Fault("set_state", is_silent=True) for _ in range(3)]
    leader = await fleet.leader()

    said = await ticked(fleet, leader, 3)

    (move,) = await fleet.moves()
    why = "cancelled" if is_cancelled else "its copy was cut off"
    assert move.state is MoveState.ABORTING
    assert move.reason == f"{why}; waits: ShardSilentError: not in time"
    assert said == ["ShardSilentError: not in time"], "once"
    await ticked(fleet, leader, 1)
    first = next(each for each in await fleet.moves() if each.move_id == fleet.first_move_id)
    assert (first.state, first.reason) == (MoveState.ABORTED, why)
    await fleet.settle(leader)
    await assert_there(fleet, row, "one" if is_cancelled else "two", "ada")
