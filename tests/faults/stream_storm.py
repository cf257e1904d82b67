"""Gateways and workers that are killed, stopped and restarted at random while clients watch. All from the seed."""

import asyncio
import random
import signal

from tests.faults.storm import SETTINGS as _SETTINGS
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed

# A client that hears nothing for longer than a few heartbeats goes to the other gateway.
SETTINGS = {**_SETTINGS, "SSE_HEARTBEAT_S": "0.5"}
_SHORT_STOP_S = (0.3, 1.5)
_LONG_STOP_S = (3.0, 5.0)
_STRIKES = {"kill": 3, "short stop": 2, "long stop": 2, "restart": 3}


class _Storm:
    """Over processes of one kind. Strikes overlap, but one is always left alone. `rage` until it is over; then all run.

    struck: what it did; stopped_pids: of those that were stopped for a while.
    """

    def __init__(self, fleet: Fleet, name: str, processes: list[Managed], seed: int, every_s: tuple[float, float]):
        self._fleet = fleet
        self._name = name
        self._processes = processes
        self._random = random.Random(f"{name} {seed}")
        self._every_s = every_s
        self._busy: set[Managed] = set()
        self.struck: list[str] = []
        self.stopped_pids: set[int] = set()

    async def rage(self, is_over: asyncio.Event) -> None:
        strikes: list[asyncio.Task[None]] = []
        while not is_over.is_set():
            try:
                await asyncio.wait_for(is_over.wait(), self._random.uniform(*self._every_s))
            except TimeoutError:
                strike = self._random.choices([*_STRIKES], [*_STRIKES.values()])[0]
                stop_s = self._random.uniform(*(_LONG_STOP_S if strike == "long stop" else _SHORT_STOP_S))
                number = self._random.randrange(len(self._processes))
                if self._processes[number] not in self._busy and len(self._busy) + 1 < len(self._processes):
                    self.struck.append(f"{self._name} {strike}")
                    strikes.append(asyncio.create_task(self._strike(strike, number, stop_s)))
        await asyncio.gather(*strikes)

    async def _strike(self, strike: str, number: int, stop_s: float) -> None:
        victim = self._processes[number]
        self._busy.add(victim)
        try:
            if strike == "kill":
                victim.kill()
                await self._replace(number)
            elif strike == "restart":
                await self._restart(number)
            else:
                self.stopped_pids.add(victim.pid)
                victim.send(signal.SIGSTOP)
                try:
                    await asyncio.sleep(stop_s)
                finally:
                    victim.send(signal.SIGCONT)
        finally:
            self._busy.discard(victim)

    async def _replace(self, number: int) -> None:
        raise NotImplementedError

    async def _restart(self, number: int) -> None:
        raise NotImplementedError


class WorkerStorm(_Storm):
    """Of workers: a restart starts the new one first."""

    async def _replace(self, number: int) -> None:
        self._processes[number] = self._fleet.begin_worker()

    async def _restart(self, number: int) -> None:
        old = self._processes[number]
        new = self._fleet.begin_worker()
        await asyncio.to_thread(new.wait_ready)
        old.process.terminate()
        self._processes[number] = new
        await asyncio.to_thread(old.wait_dead, 60.0)


class GatewayStorm(_Storm):
    """Of gateways: each keeps its port."""

    def __init__(self, fleet: Fleet, gateways: dict[str, Managed], seed: int, every_s: tuple[float, float]) -> None:
        super().__init__(fleet, "gateway", list(gateways.values()), seed, every_s)
        self._ports = list(gateways)

    async def _replace(self, number: int) -> None:
        new = self._processes[number] = self._fleet.begin_gateway(PORT=self._ports[number])
        self._busy.add(new)
        try:
            await asyncio.to_thread(new.wait_ready)
        finally:
            self._busy.discard(new)

    async def _restart(self, number: int) -> None:
        old = self._processes[number]
        old.process.terminate()
        await asyncio.to_thread(old.wait_dead, 25.0)
        await self._replace(number)
