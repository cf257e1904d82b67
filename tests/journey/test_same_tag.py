"""A tenant that knows another's turn id, and whose name has the same tag, tries every road to it in a real fleet."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.checker.sink import Sink
from tests.harness.fleet import Fleet
from tests.harness.logs import KAFKA_FIRST
from tests.harness.same_tag import same_tag

pytestmark = pytest.mark.parametrize("settings", [{"ALLOW_TENANT_HEADER": "1", "SSE_HEARTBEAT_S": "1"}])
VICTIM = "victim"
KEY = {"idempotency-key": "k"}


@pytest.fixture
async def victim(fleet: Fleet) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=fleet.url, headers={"x-argosy-tenant": VICTIM}, timeout=30) as client:
        yield client


@pytest.fixture
async def thief(fleet: Fleet) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        base_url=fleet.url, headers={"x-argosy-tenant": same_tag(VICTIM)}, timeout=30
    ) as client:
        yield client


async def post(client: httpx2.AsyncClient, workflow: str, job: Any = None) -> str:
    answer = await client.post("/v1/sessions/s/turns", json={"workflow": workflow, "input": job})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["turn_id"])


async def attack(thief: httpx2.AsyncClient, turn_id: str) -> list[httpx2.Response]:
    """Everything that changes a turn, under the victim's own key and without one."""
    paths = [f"/v1/turns/{turn_id}/{what}" for what in ("signals/go", "cancel", "resume")]
    return [await thief.post(path, json="stolen", headers=headers) for path in paths for headers in ({}, KEY)]


async def follow(thief: httpx2.AsyncClient, turn_id: str, shape: str) -> str:
    """All that a stream of the turn says until it ends."""
    url, heard = f"/v1/turns/{turn_id}/events", ""
    async with thief.stream("GET", url, headers={"accept": shape}) as answer:
        async for part in answer.aiter_text():
            heard += part
    return heard


async def until_suspended(victim: httpx2.AsyncClient, turn_id: str) -> None:
    async with asyncio.timeout(30):
        while (await victim.get(f"/v1/turns/{turn_id}")).json()["status"] != "suspended":  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@KAFKA_FIRST
async def test_nothing_that_a_tenant_with_the_same_tag_does_reaches_a_turn_or_is_told_of_it(
    fleet: Fleet, victim: httpx2.AsyncClient, thief: httpx2.AsyncClient, sink: Sink
) -> None:
    job = {"sink": sink.address, "session": "s"}
    warm = fleet.worker()
    await until_suspended(victim, await post(victim, "waits", job))  # the workflows are known
    warm.kill()
    turn_id = await post(victim, "waits", job)  # in the log, behind the first

    assert [answer.status_code for answer in await attack(thief, turn_id)] == [202] * 4 + [409] * 2
    following = [
        asyncio.create_task(follow(thief, turn_id, shape)) for shape in ("text/event-stream", "application/x-ndjson")
    ]
    waiting = asyncio.create_task(thief.get(f"/v1/turns/{turn_id}?wait=12"))
    await asyncio.to_thread(fleet.worker)
    first = (await victim.get("/v1/sessions/s")).json()["head"]["turn_id"]
    for each in (first, turn_id):
        await until_suspended(victim, each)
        refused = await attack(thief, each)
        assert {answer.status_code for answer in refused} == {404}
        assert (await victim.post(f"/v1/turns/{each}/signals/go", json="mine", headers=KEY)).status_code == 202
        ended = (await victim.get(f"/v1/turns/{each}?wait=20")).json()
        assert (ended["status"], ended["result"]) == ("completed", {"payloads": ["mine"]})

    heard = "".join(await asyncio.gather(*following))
    assert (await waiting).status_code == 404
    assert "turn.started" not in heard
    assert "mine" not in heard
