"""Gateways begin to ask for tokens, one after the other and under load, and stop asking again: nobody who sends one is
refused, and nothing is lost.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from argosy.identity.scopes import Role
from argosy.store.pool import Pool
from tests.checker.sink import Sink
from tests.gateway.identity.tokens import Made, Tokens
from tests.harness.client import Client, Reply
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed, free_port

TENANT = "default"
POSTED = 40  # by each step

pytestmark = pytest.mark.slow


class Caller(Client):
    """Asks two gateways, as through a load balancer; sends a token as soon as it has one."""

    made: Made | None = None

    async def request(self, method: str, path: str, content: str = "", **headers: str) -> Reply:
        own = {} if self.made is None else self.made.headers
        return await super().request(method, path, content, **own, **headers)


@pytest.fixture
def settings() -> dict[str, str]:
    return {"LOG_RECORDS": "signing"}  # who posted a turn is believed of a record with a MAC alone


@pytest.fixture
def second_port() -> int:
    return free_port()


@pytest.fixture
async def caller(idle_fleet: Fleet, sink: Sink, second_port: int) -> AsyncIterator[Caller]:
    second_url = idle_fleet.url.replace(str(idle_fleet.port), str(second_port))
    caller = Caller(idle_fleet.url, sink, second_url, is_retrying=True)
    yield caller
    await caller.close()


async def post(caller: Caller, step: str, turns: list[str]) -> None:
    for number in range(POSTED):
        turns.append(await caller.post(f"{step}-{number % 8}", "echo"))
        await asyncio.sleep(0.05)  # it lasts as long as the processes are replaced


def replaced(fleet: Fleet, processes: list[Managed], ports: list[int], is_required: bool) -> list[Managed]:
    """Replace the worker, and then one gateway after the other."""
    fleet.environment["KG_AUTH_REQUIRED"] = str(int(is_required))
    worker, *gateways = processes
    new = [fleet.worker()]
    assert worker.terminate() == 0
    for gateway, port in zip(gateways, ports, strict=True):
        assert gateway.terminate() == 0
        new.append(fleet.gateway(PORT=str(port)))
    return new


async def bare(fleet: Fleet, sink: Sink, ports: list[int]) -> set[int]:
    """Return what each gateway answers to a turn without a token."""
    statuses = set()
    for port in ports:
        client = Client(fleet.url.replace(str(fleet.port), str(port)), sink)
        statuses.add((await client.post_once("bare", {"workflow": "echo", "input": client.job("bare")})).status)
        await client.close()
    return statuses


async def test_a_fleet_begins_to_require_tokens_and_stops_again_under_load(
    idle_fleet: Fleet, caller: Caller, second_port: int, sink: Sink
) -> None:
    ports = [idle_fleet.port, second_port]
    (worker,) = await asyncio.to_thread(idle_fleet.start, 1)
    second = await asyncio.to_thread(lambda: idle_fleet.gateway(PORT=str(second_port)))
    processes = [worker, idle_fleet.processes[0], second]
    dsn = idle_fleet.environment["STATE_DB_URI"]
    pool = Pool(dsn, 1, 30.0)
    made = await Tokens(pool, TENANT).make(Role.USER)
    await pool.close()
    turns: list[str] = []

    # Clients begin to send tokens while nobody asks for any.
    assert await bare(idle_fleet, sink, ports) == {202}
    await post(caller, "nobody", turns)
    caller.made = made
    await post(caller, "sending", turns)
    for is_required in (True, False):
        posting = asyncio.ensure_future(post(caller, f"required-{is_required}", turns))
        processes = await asyncio.to_thread(replaced, idle_fleet, processes, ports, is_required)
        await posting
        assert await bare(idle_fleet, sink, ports) == {401 if is_required else 202}

    found = await caller.until_status(turns, within_s=60)
    assert len(found) == 4 * POSTED
    assert {turn["status"] for turn in found.values()} == {"completed"}
    own = {"kind": "token", "id": str(made.token_id)}
    assert [found[turn_id]["created_by"] == own for turn_id in turns] == [False] * POSTED + [True] * 3 * POSTED
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    kept_aside = await connection.fetchval("SELECT count(*) FROM dead_letters")
    await connection.close()
    assert kept_aside == 0
    await caller.judge(disruptions=0)
