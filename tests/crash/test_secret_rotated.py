"""A fleet goes from one secret to the next, process by process and under load: nothing is refused, and nothing lost."""

import asyncio

import asyncpg
import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed

OLD, NEW = "the secret from before, a long one", "the secret that comes, a long one"
# What every process has, one step after the other: (the secret, the other one that it takes).
STEPS = [(OLD, NEW), (NEW, OLD), (NEW, "")]
POSTED = 40

pytestmark = pytest.mark.slow


async def post(client: Client, step: int, turns: list[str]) -> None:
    for number in range(POSTED):
        turns.append(await client.post(f"{step}-{number % 8}", "echo"))
        await asyncio.sleep(0.05)  # it lasts as long as the processes are replaced


def replace(fleet: Fleet, gateway: Managed, worker: Managed) -> tuple[Managed, Managed]:
    """The worker first, and then the gateway: meanwhile the two are one step apart."""
    new_worker = fleet.worker()
    assert worker.terminate() == 0
    assert gateway.terminate() == 0
    return fleet.gateway(), new_worker


@pytest.mark.parametrize("settings", [{"LOG_RECORDS": "signed", "GRAPH_SERVICE_AUTH_SECRET": OLD}])
async def test_the_secret_is_replaced_under_load(idle_fleet: Fleet, client: Client) -> None:
    (worker,) = await asyncio.to_thread(idle_fleet.start, 1)
    gateway = idle_fleet.processes[0]
    turns = [await client.post(f"first-{number}", "echo") for number in range(3)]
    cursor = (await client.request("GET", "/v1/sessions?limit=1")).json()["next"]

    for step, (secret, other) in enumerate(STEPS):
        posting = asyncio.ensure_future(post(client, step, turns))
        own = {"GRAPH_SERVICE_AUTH_SECRET": secret, "GRAPH_SERVICE_AUTH_SECRET_PREVIOUS": other}
        idle_fleet.environment.update(own)
        gateway, worker = await asyncio.to_thread(replace, idle_fleet, gateway, worker)
        await posting
        await client.until_status(turns, within_s=60)
        answered = await client.request("GET", f"/v1/sessions?limit=1&cursor={cursor}")
        assert answered.status_code == (200 if other else 400), answered.text

    connection = await asyncpg.connect(
        idle_fleet.environment["STATE_DB_URI"], server_settings={"search_path": "argosy"}
    )
    kept_aside = await connection.fetchval("SELECT count(*) FROM dead_letters")
    await connection.close()
    assert kept_aside == 0
    assert len(turns) == 3 + len(STEPS) * POSTED
    assert "call.refused" not in idle_fleet.logs()
    await client.judge(disruptions=0)
