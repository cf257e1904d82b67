"""Clients of turns that stream, while gateways and workers are killed, drained and replaced at random."""

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from argosy import AsyncClient
from argosy.client import Assembler, Event
from tests.client import workflows
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed, free_port

SECONDS = float(os.environ.get("UNDER_FIRE_S", "60"))
CLIENTS = 12
CALM_S = 10.0  # at the end, so that every turn ends in time
WITHIN_S = 90.0
JOB = {"words": 15, "pause_s": 0.1, "chapters": 3}


@pytest.fixture
def settings() -> dict[str, str]:
    return {"ARGOSY_WORKFLOWS": str(Path(workflows.__file__))}


class Targets:
    """Two gateways and two workers, and what happens to them."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._ports = [fleet.port, free_port()]
        self.urls = [f"http://127.0.0.1:{port}" for port in self._ports]
        self._gateways = [self._gateway(0), self._gateway(1)]
        self._workers = fleet.workers(2)
        for gateway in self._gateways:
            gateway.wait_ready()
        self.hits: list[str] = []

    def _gateway(self, index: int) -> Managed:
        return self._fleet.begin_gateway(PORT=str(self._ports[index]))

    def hit(self) -> None:
        """One of them ends, by kill -9 or in order, and another one takes its place."""
        index, is_gateway, is_killed = random.randrange(2), random.random() < 0.5, random.random() < 0.5
        old = (self._gateways if is_gateway else self._workers)[index]
        self.hits.append(f"{'killed' if is_killed else 'ended'} {old.name} {index}")
        if is_killed:
            old.kill()
        else:
            old.terminate(60)
        if is_gateway:
            self._gateways[index] = self._gateway(index)
            self._gateways[index].wait_ready()
        else:
            self._workers[index] = self._fleet.worker()


async def read_novels(urls: list[str], name: str, until_s: float) -> list[str]:
    """Watch one turn after the other; what was wrong with what was seen."""
    wrong = []
    async with AsyncClient(*urls, retry_s=60) as client:
        while time.monotonic() < until_s:
            assembler, numbers = Assembler(), []
            handle = await client.submit(workflows.novel, {"name": name, **JOB})
            async for event in handle.events():
                assembler.take(event)
                if isinstance(event, Event):
                    numbers.append(event.seq)
            turn = await handle.get()
            stories = [each.value for each in assembler.channels if each.name == "story"]
            if numbers != list(range(1, len(numbers) + 1)):
                wrong.append(f"{handle.turn_id}: events {numbers}")
            if turn.status != "completed" or stories != turn.result:
                wrong.append(f"{handle.turn_id}: {turn.status}, saw {stories}, recorded {turn.result}")
            if assembler.text("contents") != "chapter 0; chapter 1; chapter 2; ":
                wrong.append(f"{handle.turn_id}: contents {assembler.text('contents')!r}")
            if not all(each.is_whole and each.is_recorded for each in assembler.channels):
                wrong.append(f"{handle.turn_id}: {assembler.channels}")
    return wrong


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 200)
async def test_every_client_sees_each_event_once_and_the_text_that_is_recorded(idle_fleet: Fleet) -> None:
    targets = await asyncio.to_thread(Targets, idle_fleet)
    until_s = time.monotonic() + SECONDS

    async def fire() -> None:
        while time.monotonic() < until_s - CALM_S:
            await asyncio.sleep(random.uniform(1.0, 3.0))
            await asyncio.to_thread(targets.hit)

    firing = asyncio.create_task(fire())
    async with asyncio.timeout(SECONDS + WITHIN_S):
        orders = [targets.urls, targets.urls[::-1]]
        readers = [read_novels(orders[number % 2], f"n{number}", until_s) for number in range(CLIENTS)]
        wrong = [each for found in await asyncio.gather(*readers) for each in found]
        await firing

    assert targets.hits
    assert wrong == [], targets.hits
