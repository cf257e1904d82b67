"""What becomes of a signal that nobody takes can be seen."""

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS


@BOTH_IN_FAULTS
async def test_signals_that_a_turn_ended_without_are_counted_and_named(fleet: Fleet, client: Client) -> None:
    fleet.worker()
    turn = await client.post("s", "waits")
    await client.until_status([turn], {"suspended"})
    for name in ("other", "other", "more"):
        await client.signal(turn, name, 1)

    before = await client.turn(turn)
    await client.signal(turn, "go", 2)
    ended = (await client.until_status([turn]))[turn]
    explained = (await client.get(f"/v1/turns/{turn}/explain")).json()
    afterwards = await client.signal(turn, "other", 3)

    assert before["signals"] == {"unread": 3, "late": 0}
    assert (ended["status"], ended["signals"]) == ("completed", {"unread": 0, "late": 3})
    assert explained["details"]["signals"] == {"late": {"more": 1, "other": 2}}
    assert afterwards == 409
