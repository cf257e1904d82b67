"""`argosy tenants delete`, by real processes: whoever is killed meanwhile, nothing is left, and the name is free."""

import asyncio
import json

import pytest

from tests.crash.erasures import ERASING, MARKER, begin_maintain, removed_of, run_turn, where_is
from tests.harness.client import Client
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.sharded import SILENT_SOON
from tests.shards.processes import ShardProcess

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("log_name", ["postgres", "kafka"])]
NAME = "formertenant"


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {
        "ARGOSY_WORKFLOWS": f"{WORKFLOWS},{ERASING}",
        "GRAPH_SERVICE_ENDPOINTS": shard.endpoint,
        "ALLOW_TENANT_HEADER": "true",
        # When nothing can come any more that was let in before.
        "IDENTITY_STALE_S_MAX": "0",
        "GATEWAY_BODY_TIMEOUT_S": "1",
        "LOG_APPEND_TIMEOUT_S": "1",
        **SILENT_SOON,
    }


async def made(fleet: Fleet) -> None:
    code, output = await asyncio.to_thread(fleet.run, "tenants", "create", NAME, "--url", fleet.url)
    assert code == 0, output


@pytest.mark.parametrize("crash_at", ["", "erase_scrubbed", *(f"erase_stepped:{number}" for number in (1, 3, 5, 7))])
async def test_nothing_of_a_tenant_is_left_and_its_name_is_free(
    crash_at: str, fleet: Fleet, shard: ShardProcess
) -> None:
    await asyncio.to_thread(fleet.worker)
    await asyncio.to_thread(fleet.ingest_worker)
    await made(fleet)
    client = Client(fleet.url, None, tenant=NAME)  # type: ignore[arg-type]
    for number in range(3):
        await run_turn(client, f"{MARKER}-{number}", "remembers", text=MARKER)
    await run_turn(client, MARKER, "uploads", text=MARKER, graph="shared", is_waited_for=True)
    waiting = json.dumps({"workflow": "dwells", "input": {"text": MARKER}})
    await client.request("POST", f"/v1/sessions/{MARKER}/turns", waiting, content_type="application/json")
    assert len(await where_is(fleet, shard, MARKER)) > 2
    leader = begin_maintain(fleet, crash_at)

    arguments = ("--again", NAME, "--wait", "60", "--url", fleet.url)
    deleting = asyncio.create_task(asyncio.to_thread(fleet.run, "tenants", "delete", NAME, *arguments, within_s=90))
    if crash_at:
        assert await asyncio.to_thread(leader.wait_dead, 60) == -9
        begin_maintain(fleet)
    code, output = await deleting

    assert code == 0, output
    assert output.count("waits: gateways may have let in requests") == 1
    assert removed_of(output)["postgres", "turns"] == 5
    assert await where_is(fleet, shard, MARKER) == []
    assert await where_is(fleet, shard, NAME) == ["audit", "erasures", "revocations"]
    await made(fleet)
    await run_turn(client, MARKER, "remembers", text="later")
    assert (await client.request("GET", "/v1/sessions")).json()["sessions"][0]["session"] == MARKER
    await client.close()
