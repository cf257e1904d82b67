"""The only broker dies or stalls while clients post: no false 202, and nothing has to be restarted afterwards."""

import asyncio
import time
from typing import Any

import pytest

from argosy.local.broker import Broker
from tests.harness import broker_nodes
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.own_broker import *  # noqa: F403
from tests.harness.own_broker import stalled

APPEND_TIMEOUT_S = 3


@pytest.fixture
def settings() -> dict[str, str]:
    return {"LOG_APPEND_TIMEOUT_S": str(APPEND_TIMEOUT_S)}


@pytest.mark.slow
async def test_with_the_broker_down_posts_are_refused_in_time_and_accepted_when_it_is_back(
    own_broker: Broker, fleet: Fleet, client: Client
) -> None:
    """F5, shortened."""
    fleet.worker()
    before = [await client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(10)]
    await client.until_status(before)

    await asyncio.to_thread(broker_nodes.kill, own_broker, 1)
    started_s = time.monotonic()
    body = {"workflow": "steps", "input": client.job("session-0", n=1)}
    refused = await asyncio.gather(*(client.post_once("session-0", body, f"key-{n}", 1) for n in range(5)))
    took_s = time.monotonic() - started_s
    assert {request.status for request in refused} <= {503, 504}
    assert took_s < APPEND_TIMEOUT_S + 3
    posting = asyncio.gather(
        *(client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(1, 10)),
        *(_until_accepted(client, "session-0", body, f"key-{n}") for n in range(5)),
    )
    await asyncio.sleep(3)
    await asyncio.to_thread(own_broker.restart, 1)

    await posting
    await client.until_status(request.turn_id for request in client.requests if request.turn_id)
    await client.judge(disruptions=1)


@pytest.mark.slow
async def test_an_append_whose_outcome_is_unknown_is_one_turn_after_the_retry(
    own_broker: Broker, fleet: Fleet, client: Client
) -> None:
    """F2, F3: whether or not the first append reached the log, the retry's id resolves to the one turn."""
    fleet.worker()
    await client.until_status([await client.post("session", "steps", effects=1, n=1)])
    body = {"workflow": "steps", "input": client.job("session", n=1)}

    with stalled(own_broker):
        first = await client.post_once("session", body, "one-key", 1)
    assert first.status == 504
    turn = await _until_accepted(client, "session", body, "one-key")
    again = await client.post_once("session", body, "one-key", 1)

    ended = await client.until_status([turn, again.turn_id or ""])
    assert len({read["turn_id"] for read in ended.values()}) == 1
    await client.judge(disruptions=1)


async def _until_accepted(client: Client, session: str, body: dict[str, Any], key: str) -> str:
    for _ in range(100):
        request = await client.post_once(session, body, key, 1)
        if request.turn_id:
            return request.turn_id
        await asyncio.sleep(0.2)
    raise AssertionError("never accepted")
