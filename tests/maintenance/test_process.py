"""`argosy maintain` as a process: killed, stopped, started twice."""

import asyncio
import json
import signal
from typing import Any

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed, free_port

pytestmark = pytest.mark.parametrize("log_name", ["postgres"])
QUICK = {"MAINTENANCE_TICK_S": "0.2", "MAINTENANCE_TIMEOUT_S": "1", "LEADER_SILENT_S": "0.9"}


def start(fleet: Fleet) -> Managed:
    port = free_port()
    process = fleet._start("maintain", ["maintain"], port, {"METRICS_PORT": str(port), **QUICK})
    process.wait_ready()
    return process


async def leaders(client: Client) -> dict[str, dict[str, Any]]:
    answer = await client.get("/v1/fleet/leaders")
    assert answer.status_code == 200, answer.text
    return {each["role"]: each for each in json.loads(answer.text)["leaders"]}


async def until_led_by(client: Client, pid: int) -> dict[str, dict[str, Any]]:
    async with asyncio.timeout(15):
        while True:
            found = await leaders(client)
            if found.keys() == {"trim", "retention"} and {each["pid"] for each in found.values()} == {pid}:
                return found
            await asyncio.sleep(0.05)


async def test_another_leads_when_the_leader_is_killed(fleet: Fleet, client: Client) -> None:
    first = start(fleet)
    before = await until_led_by(client, first.pid)
    second = start(fleet)

    first.kill()

    after = await until_led_by(client, second.pid)
    assert all(after[role]["term"] == before[role]["term"] + 1 for role in before)
    assert all(each["leads"] for each in after.values())
    assert second.terminate() == 0


async def test_another_leads_when_the_leader_stops_and_the_first_stands_again_when_it_wakes(
    fleet: Fleet, client: Client
) -> None:
    first = start(fleet)
    await until_led_by(client, first.pid)
    second = start(fleet)

    first.send(signal.SIGSTOP)
    await until_led_by(client, second.pid)
    first.send(signal.SIGCONT)
    second.kill()

    found = await until_led_by(client, first.pid)
    assert all(each["outcome"] for each in found.values())
