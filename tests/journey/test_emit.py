"""What a turn shows while it runs, in its history: through real workers, crashes and hand-overs."""

import asyncio
import signal
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from argosy.turn.projection import shown
from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fleet import Fleet
from tests.harness.owners import until_shared
from tests.harness.processes import ROOT

pytestmark = [
    pytest.mark.parametrize("log_name", ["postgres"]),
    pytest.mark.parametrize("settings", [{"ARGOSY_WORKFLOWS": str(ROOT / "tests" / "journey" / "emitting.py")}]),
]

_EVENTS: Final = "SELECT type, key, data, attempt FROM events WHERE turn_id = $1::uuid ORDER BY seq"


async def events_of(database: str, turn: str) -> list[tuple[str, str, Any]]:
    """(type, key, data) as the rows have them."""
    connection = await asyncpg.connect(database)
    try:
        rows = await connection.fetch(_EVENTS, turn)
    finally:
        await connection.close()
    return [(row["type"], row["key"], msgspec.json.decode(row["data"])) for row in rows]


def channels(events: list[tuple[str, str, Any]], kind: str, key: str = "") -> list[Any]:
    """What each event of a type holds of channels."""
    return [data.get("channels") for each, its, data in events if (each, its) == (kind, key)]


async def test_what_a_turn_emits_is_in_the_events_that_end_its_steps_its_suspends_and_itself(
    fleet: Fleet, client: Client, database: str
) -> None:
    fleet.worker()
    turn, in_thread = await client.post("a", "emits"), await client.post("b", "emits_in_thread")
    too_much, secret = await client.post("c", "emits_too_much"), await client.post("d", "keeps_secrets")
    await client.until_status([turn], {"suspended"})
    await client.signal(turn, "go", 1)

    ended = await client.until_status([turn, in_thread, too_much, secret])

    assert ended[turn]["result"]["took_s"] < 1
    events = await events_of(database, turn)
    assert channels(events, "step.completed", "flood") == [{"tokens": {"text": "0123456789" * 1_000}}]
    assert channels(events, "step.completed", "count_in_thread") == [{"state": {"json": {"count": 50}}}]
    assert channels(events, "step.retrying", "third_time") == [None, None]
    assert channels(events, "step.completed", "third_time") == [{"tokens": {"text": "try 3"}}]
    said = [each["log"]["text"] for each in channels(events, "turn.suspended") if each]
    assert said == ["began ", "began went on "]
    assert channels(events, "turn.completed") == [{"log": {"text": "began went on ended"}}]

    events = await events_of(database, in_thread)
    assert channels(events, "turn.suspended") == [{"log": {"text": "a"}}]
    assert channels(events, "turn.completed") == [{"log": {"text": "ab"}}]

    assert ended[too_much]["status"] == "failed"
    assert "2000000 bytes, the bound is EMIT_SIZE_BYTES_MAX=65536" in ended[too_much]["error"]["message"]

    assert ended[secret]["error"] == {"type": "StepFailedError", "message": "a private step failed"}
    told = [shown(kind, key, msgspec.json.encode(data)) for kind, key, data in await events_of(database, secret)]
    assert "secret" not in repr([each for each in told if each.key != "half_secret"])
    assert "secret_" not in repr(told)
    assert [each.type for each in told].count("step.private") == 4


async def test_a_crash_and_a_hand_over_neither_lose_nor_double_what_was_emitted(
    idle_fleet: Fleet, client: Client, latch: Latch, database: str
) -> None:
    (first,) = idle_fleet.start(1)
    turn = await client.post("session", "speaks", until=latch.path)
    await until_reached(client.sink, [turn])

    first.kill()
    second = await asyncio.to_thread(idle_fleet.worker)
    await until_reached(client.sink, [turn], times=2)
    third = await asyncio.to_thread(idle_fleet.worker)
    second.send(signal.SIGTERM)
    await until_shared(client, [third], idle_fleet.partitions)
    latch.release()
    ended = (await client.until_status([turn]))[turn]

    assert ended["result"] == "half whole"
    events = await events_of(database, turn)
    assert [kind for kind, *_ in events].count("turn.reset") == 1
    assert channels(events, "step.completed", "speak") == [{"tokens": {"text": "half whole"}}]
    assert channels(events, "turn.completed") == [{"log": {"text": "abc"}}]
