"""Keeps a number of workers alive, as an orchestrator does: each one that ends is replaced."""

import asyncio
from types import TracebackType

from tests.harness.fleet import Fleet
from tests.harness.processes import Managed


class Supervisor:
    """`async with Supervisor(fleet, 2) as workers:`. deaths: how many ended meanwhile."""

    def __init__(self, fleet: Fleet, count: int, **settings: str) -> None:
        self._fleet = fleet
        self._count = count
        self._settings = settings
        self.deaths: list[int] = []
        self.living: list[Managed] = []

    async def __aenter__(self) -> "Supervisor":
        self.living = await asyncio.to_thread(self._fleet.workers, self._count, **self._settings)
        self._task = asyncio.create_task(self._replace())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _replace(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            for number, worker in enumerate(self.living):
                code = worker.process.poll()
                if code is not None:
                    self.deaths.append(code)
                    self.living[number] = self._fleet.begin_worker(**self._settings)
