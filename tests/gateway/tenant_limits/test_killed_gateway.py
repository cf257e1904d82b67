"""Three gateways as real processes, one of them killed: what all of them together let through of a tenant's turns."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.gateway.stubborn_writer import ECHO
from tests.harness.processes import ROOT, Managed, free_port

RATE, BURST = 40.0, 40.0
TICK_S = 0.05
WINDOW_S = 12.0


@pytest.fixture
def gateways(gateway_dsn: str, tmp_path: Path) -> Iterator[list[Managed]]:
    started = []
    for number in range(3):
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "STATE_DB_URI": gateway_dsn,
            "ARGOSY_DATA_DIR": str(tmp_path / "data"), "AGENT_DISPATCH_BACKEND": "queue", "PORT": str(port),
            "ALLOW_TENANT_HEADER": "1", "GATEWAY_RATE_LIMIT": f"{RATE:g}", "GATEWAY_RATE_BURST": f"{BURST:g}",
        }  # fmt: skip
        url = f"http://127.0.0.1:{port}/readyz"
        started.append(Managed("gateway", ["gateway"], environment, url, tmp_path / f"gateway-{number}.log"))
    for each in started:
        each.wait_ready()
    yield started
    assert [pid for process in started for pid in process.bury()] == []


class Clients:
    """What sends turns of one tenant. taken_at_s: when turns were accepted."""

    def __init__(self, gateways: list[Managed], tenant: str) -> None:
        self.taken_at_s: list[float] = []
        self._urls = [each.ready_url.removesuffix("/readyz") + "/v1/sessions/s/turns" for each in gateways]
        self._client = httpx2.AsyncClient(headers={"x-argosy-tenant": tenant}, timeout=10)

    async def send(self, seconds: float, per_s: dict[int, float]) -> None:
        """Send for some time, so many turns a second to each gateway, by its number."""
        due = dict.fromkeys(per_s, 0.0)
        began_s = told_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while told_s - began_s < seconds:
                await asyncio.sleep(TICK_S)
                now_s = time.monotonic()
                for number, rate in per_s.items():
                    due[number] += rate * (now_s - told_s)
                    for _ in range(int(due[number])):
                        group.create_task(self._post(self._urls[number]))
                    due[number] %= 1
                told_s = now_s

    async def _post(self, url: str) -> None:
        answer = await self._client.post(url, json=ECHO)
        if answer.status_code == 202:
            self.taken_at_s.append(time.monotonic())
        else:
            assert answer.status_code == 429, answer.text
            assert int(answer.headers["retry-after"]) >= 1

    def taken(self, since_s: float) -> int:
        return sum(at_s >= since_s for at_s in self.taken_at_s)


@pytest.mark.slow
async def test_a_rate_holds_for_all_gateways_whoever_is_asked_and_killed(gateways: list[Managed], tenant: str) -> None:
    clients = Clients(gateways, tenant)
    began_s = time.monotonic()
    counts = {}

    await clients.send(4, {0: RATE, 1: RATE, 2: RATE})
    for name, demand in (
        ("all alike", {0: RATE, 1: RATE, 2: RATE}),
        ("one asked most", {0: 2 * RATE, 1: RATE / 4, 2: RATE / 10}),
        ("one asked alone", {0: 2 * RATE}),
    ):
        await clients.send(2, demand)
        since_s = time.monotonic()
        await clients.send(WINDOW_S, demand)
        counts[name] = clients.taken(since_s) / (time.monotonic() - since_s)
    gateways[0].kill()
    killed_s = time.monotonic()
    await clients.send(3, {1: 2 * RATE})
    since_s = time.monotonic()
    await clients.send(WINDOW_S, {1: 2 * RATE})
    ended_s = time.monotonic()
    counts["after a kill"] = clients.taken(since_s) / (ended_s - since_s)

    print({name: round(count / RATE, 3) for name, count in counts.items()})
    assert all(0.9 * RATE <= count <= 1.1 * RATE + BURST / WINDOW_S for count in counts.values()), counts
    assert clients.taken(killed_s) >= 0.9 * RATE * (ended_s - killed_s - 2)
    assert clients.taken(began_s) <= 1.1 * RATE * (ended_s - began_s) + BURST
