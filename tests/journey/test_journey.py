"""A turn's journey through a gateway, a log, a worker and Postgres, all real, with nothing going wrong."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.checker.sink import Sink
from tests.conftest import fresh_database
from tests.harness.client import Client
from tests.harness.fixtures import prepared
from tests.harness.fleet import Fleet


@pytest.fixture(scope="module", params=["kafka", "postgres"])
def running(
    request: pytest.FixtureRequest, postgres_dsn: str, template_18: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """A gateway and a worker for all tests of this file, on each log: each test is a tenant of its own."""
    bootstrap = str(request.getfixturevalue("broker")) if request.param == "kafka" else ""
    with (
        fresh_database(postgres_dsn, template_18) as dsn,
        prepared(Fleet(tmp_path_factory.mktemp("fleet"), dsn, bootstrap, ALLOW_TENANT_HEADER="1")) as fleet,
    ):
        fleet.start()
        yield fleet


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Of the test alone: in a fleet that goes on, a step that was given up may still say something to it."""
    sink = Sink()
    yield sink
    sink.stop()


@pytest.fixture
async def client(running: Fleet, sink: Sink) -> AsyncIterator[Client]:
    client = Client(running.url, sink, tenant=f"t-{uuid.uuid4().hex[:12]}")
    yield client
    await client.close()
    print(running.logs())  # shown when the test fails


async def test_a_turn_is_accepted_executed_and_can_be_read(client: Client) -> None:
    turn = await client.post("session", "steps", effects=3, n=3)

    ended = (await client.until_status([turn]))[turn]

    assert ended["status"] == "completed"
    assert len(ended["result"]["numbers"]) == 3
    assert [step["status"] for step in ended["steps"]] == ["completed"] * 3
    await client.judge()


async def test_every_kind_of_step_and_wait_completes(client: Client) -> None:
    turns = [
        await client.post("a", "stumbles", effects=1, fail_times=2),
        await client.post("b", "threads", effects=1),
        await client.post("c", "once", effects=1),
        await client.post("d", "sleeps", effects=2, sleep_s=0.3),
        await client.post("e", "dawdles", effects=2, n=2, step_s=0.1),
    ]

    ended = await client.until_status(turns)

    assert {turn["status"] for turn in ended.values()} == {"completed"}
    await client.judge()


async def test_a_failed_try_and_its_retry_are_one_step_with_two_attempts(client: Client) -> None:
    turn = await client.post("session", "stumbles", effects=1, fail_times=1)

    ended = (await client.until_status([turn]))[turn]

    assert [(step["status"], step["attempts"]) for step in ended["steps"]] == [("completed", 2)]
    keys = {effect.idempotency_key for effect in client.sink.effects()}
    assert len(keys) == 1


async def test_a_turn_that_gave_up_on_a_slow_step_can_still_be_suspended(client: Client) -> None:
    turn = await client.post("session", "gives_up", effects=1)
    await client.until_status([turn], {"suspended"})

    assert await client.signal(turn, "word", "go on") in (200, 202)

    ended = (await client.until_status([turn]))[turn]
    assert ended["result"] == {"word": "go on"}


async def test_a_signal_sent_before_anybody_waits_for_it_is_kept(client: Client) -> None:
    """F25."""
    before = await client.post("session", "dawdles", effects=1, step_s=0.5)
    turn = await client.post("session", "waits", effects=2)
    assert await client.signal(turn, "go", "early") in (200, 202)

    ended = (await client.until_status([turn]))[turn]

    assert ended["result"] == {"payloads": ["early"]}
    await client.until_status([before])
    await client.judge()


async def test_a_signal_sent_twice_is_one_signal(client: Client) -> None:
    """F27."""
    turn = await client.post("session", "waits", effects=2, signals=2)
    await client.until_status([turn], {"suspended"})

    await asyncio.gather(*(client.signal(turn, "go", "first", "request-1") for _ in range(5)))
    still = await client.until_status([turn], {"suspended"})
    await client.signal(turn, "go", "second", "request-2")
    ended = (await client.until_status([turn]))[turn]

    assert still[turn]["status"] == "suspended"
    assert ended["result"] == {"payloads": ["first", "second"]}
    await client.judge()


async def test_two_signals_of_different_senders_arrive_in_the_order_in_which_they_were_sent(
    client: Client,
) -> None:
    turn = await client.post("session", "waits", effects=2, signals=3)

    for number in range(3):
        await client.signal(turn, "go", number)
    ended = (await client.until_status([turn]))[turn]

    assert ended["result"] == {"payloads": [0, 1, 2]}
    await client.judge()


async def test_a_suspended_turn_holds_its_session_and_no_other(client: Client) -> None:
    held = await client.post("held", "waits", effects=2)
    behind = await client.post("held", "steps", effects=1, n=1)
    free = await client.post("free", "steps", effects=1, n=1)

    await client.until_status([free])
    await client.until_status([held], {"suspended"})
    assert (await client.turn(behind))["status"] == "queued"
    await client.signal(held, "go", None)

    await client.until_status([held, behind])
    await client.judge()


async def test_a_wait_that_nobody_answers_fails_its_turn_in_time(client: Client) -> None:
    turn = await client.post("session", "waits", timeout_s=0.3)

    ended = (await client.until_status([turn]))[turn]

    assert ended["status"] == "failed"
    await client.judge()


async def test_a_cancel_that_races_the_end_leaves_one_ending(client: Client) -> None:
    """F30."""
    turns = [await client.post(f"session-{number}", "steps", n=2) for number in range(40)]

    await asyncio.gather(*(client.post_to(f"/v1/turns/{turn}/cancel") for turn in turns))
    ended = await client.until_status(turns)

    assert {turn["status"] for turn in ended.values()} <= {"completed", "cancelled"}
    await client.judge()


async def test_running_suspended_and_queued_turns_can_be_cancelled(client: Client) -> None:
    slow = await client.post("slow", "dawdles", step_s=30)
    waiting = await client.post("waiting", "waits")
    queued = await client.post("waiting", "steps")
    await client.until_status([slow], {"running"})
    await client.until_status([waiting], {"suspended"})

    for turn in (queued, waiting, slow):
        assert (await client.post_to(f"/v1/turns/{turn}/cancel")).status_code in (200, 202)
    ended = await client.until_status([slow, waiting, queued])

    came_to = {name: ended[turn]["status"] for name, turn in (("slow", slow), ("waiting", waiting), ("queued", queued))}
    assert came_to == {"slow": "cancelled", "waiting": "cancelled", "queued": "cancelled"}
    after = await client.post("waiting", "steps", effects=1)
    await client.until_status([after])
    await client.judge()


async def test_repetitions_under_one_key_are_one_turn_and_resolve_to_the_first(client: Client) -> None:
    body = {"workflow": "steps", "input": client.job("session", n=1)}

    requests = await asyncio.gather(*(client.post_once("session", body, "one-key", 1) for _ in range(8)))
    await client.until_status([request.turn_id for request in requests if request.turn_id])

    turns = {(await client.turn(request.turn_id or ""))["turn_id"] for request in requests}
    assert len(turns) == 1
    assert len(client.sink.effects()) == 1
    await client.judge()


async def test_a_batch_keeps_the_order_of_its_lines_in_every_session(client: Client) -> None:
    turns = [
        (f"session-{number % 20}", {"workflow": "steps", "input": client.job(f"session-{number % 20}", n=1)})
        for number in range(400)
    ]

    accepted = await client.batch(turns, effects=1)

    await client.until_status(reversed(accepted))
    await client.judge()


async def test_a_delayed_turn_starts_when_it_is_due_and_holds_up_nobody(client: Client) -> None:
    due_s = time.time() + 1.5
    body = {
        "workflow": "steps",
        "input": client.job("session", n=1),
        "not_before": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(due_s)) + f".{int(due_s % 1 * 1000):03}Z",
    }
    delayed = await client.post_once("session", body)
    at_once = await client.post("session", "steps", effects=1, n=1)
    assert delayed.turn_id is not None

    await client.until_status([at_once])
    assert (await client.turn(delayed.turn_id))["status"] == "queued"
    await client.until_status([delayed.turn_id])

    assert time.time() >= due_s - 0.05


async def test_a_turn_past_its_deadline_expires_and_frees_its_session(client: Client) -> None:
    body = {"workflow": "dawdles", "input": client.job("session", step_s=30), "deadline_s": 0.5}
    late = await client.post_once("session", body)
    behind = await client.post("session", "steps", effects=1, n=1)

    ended = await client.until_status([late.turn_id or "", behind])

    assert [turn["status"] for turn in ended.values()] == ["expired", "completed"]
    await client.judge()


async def test_a_turn_that_asks_to_be_rejected_when_busy_is(client: Client) -> None:
    held = await client.post("session", "waits", effects=2)
    await client.until_status([held], {"suspended"})
    body = {"workflow": "steps", "input": client.job("session", n=1), "on_busy": "reject"}

    refused = await client.post_once("session", body)
    ended = await client.until_status([refused.turn_id or ""])

    assert [(turn["status"], turn["reason"]) for turn in ended.values()] == [("rejected", "busy")]
    await client.signal(held, "go", None)
    await client.until_status([held])
    await client.judge()
