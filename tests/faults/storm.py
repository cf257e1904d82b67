"""Many conversations, while workers are killed and stopped at random. Everything random comes from the seed."""

import asyncio
import random
import signal

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed

# Short of the time after which the others take a silent worker for dead, and beyond it.
SILENT_AFTER_S = 2.0
SETTINGS = {"HEARTBEAT_INTERVAL_S": "0.5", "HEARTBEAT_TTL_S": f"{SILENT_AFTER_S:g}"}
_SHORT_STOP_S = (0.3, 1.5)
_LONG_STOP_S = (3.0, 6.0)


class Storm:
    """`rage` until told that it is over; then every worker that is left runs. disruptions: how often it struck."""

    def __init__(self, fleet: Fleet, workers: list[Managed], seed: int, every_s: tuple[float, float]) -> None:
        self._fleet = fleet
        self._workers = workers
        self._random = random.Random(f"storm {seed}")
        self._every_s = every_s
        self._stopped: set[Managed] = set()
        self.struck: list[str] = []
        self.stopped_pids: set[int] = set()

    @property
    def disruptions(self) -> int:
        return len(self.struck)

    async def rage(self, is_over: asyncio.Event) -> None:
        waking: list[asyncio.Task[None]] = []
        while not is_over.is_set():
            try:
                await asyncio.wait_for(is_over.wait(), self._random.uniform(*self._every_s))
            except TimeoutError:
                strike, stop_s = self._chosen()
                victim = self._random.choice([each for each in self._workers if each not in self._stopped])
                self.struck.append(strike)
                if strike == "kill":
                    self._replace(victim)
                elif len(self._stopped) + 1 < len(self._workers):
                    waking.append(asyncio.create_task(self._stop(victim, stop_s)))
        await asyncio.gather(*waking)

    def _chosen(self) -> tuple[str, float]:
        strike = self._random.choices(["kill", "short stop", "long stop"], [5, 3, 2])[0]
        return strike, self._random.uniform(*(_LONG_STOP_S if strike == "long stop" else _SHORT_STOP_S))

    def _replace(self, victim: Managed) -> None:
        victim.kill()
        self._workers[self._workers.index(victim)] = self._fleet.begin_worker()

    async def _stop(self, victim: Managed, stop_s: float) -> None:
        victim.send(signal.SIGSTOP)
        self._stopped.add(victim)
        self.stopped_pids.add(victim.pid)
        try:
            await asyncio.sleep(stop_s)
        finally:
            victim.send(signal.SIGCONT)
            self._stopped.discard(victim)


async def converse(client: Client, session: str, turns: int, seed: int, pause_s: float) -> list[str]:
    """One client of one session: each turn is sent when the one before was acknowledged, after a pause of that mean."""
    dice = random.Random(f"{seed} {session}")
    sent = []
    for _ in range(turns):
        await asyncio.sleep(dice.uniform(0, 2 * pause_s))
        match dice.choices(["steps", "waits", "stumbles", "sleeps", "threads", "dawdles"], [60, 10, 10, 5, 5, 10])[0]:
            case "waits":
                sent.append(await client.post(session, "waits", effects=2))
                status = await client.signal(sent[-1], "go", dice.random())
                assert status in (200, 202), f"the signal to {sent[-1]} was answered {status}"
            case "stumbles":
                sent.append(await client.post(session, "stumbles", effects=1, fail_times=1))
            case "sleeps":
                sent.append(await client.post(session, "sleeps", effects=2, sleep_s=0.2))
            case "threads":
                sent.append(await client.post(session, "threads", effects=1))
            case "dawdles":
                sent.append(await client.post(session, "dawdles", effects=1, step_s=0.3))
            case _:
                n = dice.randint(1, 3)
                sent.append(await client.post(session, "steps", effects=n, n=n))
    return sent
