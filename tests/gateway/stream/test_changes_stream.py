"""JSON values and their patches: each change is told once, whatever is told again."""

import uuid
from typing import Any

from argosy.gateway.stream import sync_points
from argosy.rpc.watch_pb2 import Frame, Refused
from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Gateway
from tests.gateway.stream.owner import Owner, event, look

CHANGE = b'[{"op":"add","path":"/-","value":1}]'


def path_of(turn_id: uuid.UUID) -> str:
    return f"/v1/turns/{turn_id}/events"


def frame(turn_id: uuid.UUID, seq: int, n: int, **value: Any) -> Any:
    return Frame(turn_id=turn_id.bytes, lineage=1, seq=seq, attempt=1, n=n, channel="state", **value)


async def running(rows: Rows) -> uuid.UUID:
    turn_id = await rows.turn("s", "running", attempt=1, seq=1)
    await rows.events(turn_id, ("turn.started", "", {}))
    return turn_id


async def test_a_change_that_history_held_already_is_not_told_after_it(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    held = b'{"channels":{"state":{"json":[1]}}}'
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, json=b"[]"))
        await reader.until(2)
        await rows.connection.executemany(
            "INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data) VALUES ($1, $2, 1, 1, $3, $4, $5)",
            [(turn_id, 2, "value.recorded", "k", b"{}"), (turn_id, 3, "turn.suspended", "", held)],
        )
        asked.say(look=look(turn_id))
        asked.say(frame=frame(turn_id, 2, 101, patch=CHANGE))
        asked.say(event=event(turn_id, 3, "turn.suspended", data=held))
        asked.say(frame=frame(turn_id, 3, 102, patch=CHANGE))
        await reader.until(5)

    assert reader.types == ["turn.started", "frame", "value.recorded", "turn.suspended", "frame"]
    assert reader.messages[-1].data["n"] == 102


async def test_a_change_that_waited_when_the_owner_was_lost_is_told_by_the_next_one_alone(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await running(rows)
    async with gateway.read(path_of(turn_id)) as reader:
        asked = await owner.until_asked()
        asked.say(frame=frame(turn_id, 1, 100, json=b"[]"))
        await reader.until(2)

        async def meanwhile(point: str) -> None:
            if point == "read":  # 101 waits for what is being read
                sync_points.arm(None)
                asked.say(refused=Refused(reason=Refused.NOT_OWNER))
                again = await owner.until_asked(2)
                again.say(frame=frame(turn_id, 2, 102, patch=CHANGE))

        await rows.connection.execute(
            "INSERT INTO events (turn_id, seq, lineage, attempt, type, key, data) VALUES ($1, 2, 1, 1, $2, 'k', '{}')",
            turn_id, "value.recorded",
        )  # fmt: skip
        sync_points.arm(meanwhile)
        asked.say(frame=frame(turn_id, 2, 101, patch=CHANGE))
        await reader.until(4)
        owner.asked[1].say(event=event(turn_id, 3, "turn.completed"))
        await reader.until_closed()

    assert [each.data.get("n") for each in reader.messages] == [None, 100, None, 102, None]
    assert owner.asked[1].request.n == 100
