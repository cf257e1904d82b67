"""`Prefer: wait` and `?wait`: the owner says that a turn has ended, and nobody polls."""

import asyncio
import time
import uuid

from tests.gateway.rows import Rows
from tests.gateway.stream.conftest import Gateway, Serve
from tests.gateway.stream.owner import Owner, event, look


async def end(rows: Rows, turn_id: object) -> None:
    await rows.connection.execute(
        "UPDATE turns SET status = 'completed', result = 'true', ended_at = now() WHERE turn_id = $1", turn_id
    )


async def test_a_turn_is_answered_as_soon_as_its_owner_says_so(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    waiting = asyncio.create_task(gateway.client.get(f"/v1/turns/{turn_id}?wait=10"))
    asked = await owner.until_asked()
    await asyncio.sleep(0.3)
    await end(rows, turn_id)
    assert not waiting.done()

    asked.say(event=event(turn_id, 1, "turn.completed"))
    answer = await waiting

    assert asked.request.ending_only
    assert (answer.status_code, answer.json()["status"], answer.json()["result"]) == (200, "completed", True)


async def test_what_ended_before_the_owner_was_asked_is_answered_at_once(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await rows.turn("s", "completed", result=1)

    answer = await gateway.client.get(f"/v1/turns/{turn_id}?wait=10")

    assert answer.json()["status"] == "completed"
    assert owner.asked == []


async def test_a_post_waits_and_a_duplicate_is_its_original(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    first = await rows.turn("s", "completed", result=7)
    posting = asyncio.create_task(
        gateway.client.post("/v1/sessions/s/turns", json={"workflow": "echo"}, headers={"prefer": "wait=10"})
    )
    asked = await owner.until_asked()
    turn_id = uuid.UUID(bytes=asked.request.turn_id)
    await rows.turn("s", "duplicate", turn_id=turn_id, duplicate_of=first)
    asked.say(look=look(turn_id))
    answer = await posting

    assert (answer.status_code, answer.json()["turn_id"], answer.json()["result"]) == (200, str(first), 7)
    assert answer.headers["preference-applied"] == "wait=10"


async def test_without_an_owner_the_end_is_found_all_the_same(serve: Serve, rows: Rows) -> None:
    gateway = await serve()
    turn_id = await rows.turn("s", "running", attempt=1)
    waiting = asyncio.create_task(gateway.client.get(f"/v1/turns/{turn_id}?wait=10"))
    await asyncio.sleep(0.1)
    await end(rows, turn_id)

    assert (await waiting).json()["status"] == "completed"


async def test_who_waited_long_enough_is_told_how_it_stands(gateway: Gateway, owner: Owner, rows: Rows) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    began_s = time.monotonic()

    answer = await gateway.client.get(f"/v1/turns/{turn_id}?wait=1")

    assert answer.json()["status"] == "running"
    assert 0.9 < time.monotonic() - began_s < 3


async def test_who_waits_at_a_gateway_that_drains_is_told_how_it_stands(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    waiting = asyncio.create_task(gateway.client.get(f"/v1/turns/{turn_id}?wait=60"))
    await owner.until_asked()
    gateway.state.drain()

    assert (await asyncio.wait_for(waiting, 5)).json()["status"] == "running"


async def test_a_turn_that_is_parked_is_answered_by_get_and_not_by_post(
    gateway: Gateway, owner: Owner, rows: Rows
) -> None:
    turn_id = await rows.turn("s", "running", attempt=1)
    getting = asyncio.create_task(gateway.client.get(f"/v1/turns/{turn_id}?wait=10"))
    waiting = asyncio.create_task(gateway.state.waiting.wait(turn_id, rows.tenant, 10, asyncio.Future()))
    await owner.until_asked(2)
    await rows.connection.execute("UPDATE turns SET status = 'parked' WHERE turn_id = $1", turn_id)
    for asked in list(owner.asked):
        asked.say(event=event(turn_id, 1, "turn.parked"))

    assert (await getting).json()["status"] == "parked"
    assert not waiting.done()
    waiting.cancel()
