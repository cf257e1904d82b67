"""`python -m tests.rolling --beside DIR`: one fleet of this version and of the one in DIR, the version before it.

roll       DIR's fleet serves a load. The database is migrated beside it, then its processes are replaced by this
           version's, one by one; then by DIR's again, after DIR's own `argosy migrate`. No call may fail beyond one
           retry, no step may run twice, no attempt but the first may be needed.
storm      Processes of both versions serve a load and are killed all the time; the successor is of either version.
           Nothing may be lost, or happen twice without a death that explains it.

Each runs on both logs, and is judged from outside by tests/checker. DIR is another checkout, installed for development
(`git worktree add DIR COMMIT`, `make -C DIR .venv/installed-dev`). The exit code is 1 when a promise was broken.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from bench.bed import new_database
from bench.services import Services, services
from tests.checker.sink import Sink
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.leftovers import told_by_postgres, until_nothing_is_left
from tests.harness.processes import ROOT, THIS, Checkout, Managed, free_port
from tests.rolling import workflows
from tests.rolling.load import Load

_WORKERS: Final = 3
_GATEWAYS: Final = 2
_PARTITIONS: Final = 8
_SETTLES_S: Final = 2.0
_STORM_S: Final = 45.0
_STRIKE_EVERY_S: Final = (1.0, 3.0)
_ENDS_WITHIN_S: Final = 120.0
_SETTINGS: Final = {"HEARTBEAT_INTERVAL_S": "0.5", "HEARTBEAT_TTL_S": "2", "SSE_HEARTBEAT_S": "0.5"}


class Mixture:
    """The gateways and workers of one fleet, each of one version or the other."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._ports = [fleet.port, *(free_port() for _ in range(_GATEWAYS - 1))]
        self.urls = [f"http://127.0.0.1:{port}" for port in self._ports]
        self.workers: list[Managed] = []
        self.gateways: list[Managed] = []

    async def start(self, *checkouts: Checkout) -> None:
        """Start everything; these versions take turns."""
        for number in range(_WORKERS):
            self._fleet.use(checkouts[number % len(checkouts)])
            self.workers.append(self._fleet.begin_worker())
        for number, port in enumerate(self._ports):
            self._fleet.use(checkouts[number % len(checkouts)])
            self.gateways.append(self._fleet.begin_gateway(PORT=str(port)))
        for process in (*self.workers, *self.gateways):
            await asyncio.to_thread(process.wait_ready)

    async def roll(self, to: Checkout) -> None:
        """Replace one process after the other, as an orchestrator does: a new worker is ready before its predecessor is
        told to end; a gateway keeps its port, so its predecessor ends first.
        """
        self._fleet.use(to)
        for number, old in enumerate(self.workers):
            self.workers[number] = await asyncio.to_thread(self._fleet.worker)
            await _end(old)
            await asyncio.sleep(_SETTLES_S)
        for number, old in enumerate(self.gateways):
            await _end(old)
            self.gateways[number] = await asyncio.to_thread(self._fleet.gateway, PORT=str(self._ports[number]))
            await asyncio.sleep(_SETTLES_S)

    async def kill(self, number: int, successor: Checkout) -> None:
        """Kill a worker; another one takes its place."""
        self.workers[number].kill()
        self._fleet.use(successor)
        self.workers[number] = self._fleet.begin_worker()

    async def kill_gateway(self, number: int, successor: Checkout) -> None:
        self.gateways[number].kill()
        self._fleet.use(successor)
        self.gateways[number] = self._fleet.begin_gateway(PORT=str(self._ports[number]))
        await asyncio.to_thread(self.gateways[number].wait_ready)


async def _end(process: Managed) -> None:
    code = await asyncio.to_thread(process.terminate, 60.0)
    assert code == 0, f"{process.name} ended with {code}:\n{process.tail()}"


async def _command(fleet: Fleet, checkout: Checkout, *arguments: str) -> None:
    fleet.use(checkout)
    code, said = await asyncio.to_thread(fleet.run, *arguments)
    assert code == 0, said


async def roll(fleet: Fleet, sink: Sink, before: Checkout, seed: int) -> None:
    """See above."""
    await _command(fleet, before, "migrate")
    await _command(fleet, before, "topics")
    mixture = Mixture(fleet)
    await mixture.start(before)
    client = Client(mixture.urls[0], sink, *mixture.urls[1:], is_retrying=True)

    async with Load(client, mixture.urls, seed) as load:
        await load.for_s(_SETTLES_S)
        await _command(fleet, THIS, "migrate")
        await load.for_s(_SETTLES_S)
        print("  to this version", flush=True)
        await mixture.roll(THIS)
        await load.for_s(_SETTLES_S)
        print("  and back", flush=True)
        await _command(fleet, before, "migrate")
        await mixture.roll(before)
        await load.for_s(_SETTLES_S)

    await _judge(fleet, client, load, 0)
    repeated = [request for request in client.requests if request.status not in (200, 202)]
    assert not repeated, f"{len(repeated)} calls failed, the first with {repeated[0].status}"


async def storm(fleet: Fleet, sink: Sink, before: Checkout, seed: int) -> None:
    """See above."""
    await _command(fleet, before, "migrate")
    await _command(fleet, before, "topics")
    await _command(fleet, THIS, "migrate")
    mixture = Mixture(fleet)
    await mixture.start(before, THIS)
    client = Client(mixture.urls[0], sink, *mixture.urls[1:], is_retrying=True)
    dice = random.Random(f"rolling {seed}")
    killed = 0

    async with Load(client, mixture.urls, seed) as load:
        left_s = _STORM_S
        while left_s > 0:
            pause_s = dice.uniform(*_STRIKE_EVERY_S)
            left_s -= pause_s
            await load.for_s(pause_s)
            successor = dice.choice((before, THIS))
            if dice.random() < 0.75:
                await mixture.kill(dice.randrange(_WORKERS), successor)
                killed += 1
            else:
                await mixture.kill_gateway(dice.randrange(_GATEWAYS), successor)
        print(f"  {killed} workers were killed", flush=True)

    await _judge(fleet, client, load, killed)


async def _judge(fleet: Fleet, client: Client, load: Load, disruptions: int) -> None:
    try:
        await client.until_status(load.turns, within_s=_ENDS_WITHIN_S)
    except AssertionError:
        print(await told_by_postgres(fleet))
        raise
    history = await client.judge(disruptions)
    told_wrong = load.breaches(history)
    assert not told_wrong, f"{len(told_wrong)} times a client was told wrong:\n" + "\n".join(told_wrong[:30])
    await until_nothing_is_left(fleet)
    attempts = {event.attempt for read in history.reads.values() for event in read.events}
    assert disruptions or attempts <= {0, 1}, f"nobody died, and there are attempts {attempts}"
    print(f"  {len(load.turns)} turns, {len(load.followed)} of them followed, {client.retried} calls were retried")
    await client.close()


Scenario = Callable[[Fleet, Sink, Checkout, int], Awaitable[None]]
SCENARIOS: Final[dict[str, Scenario]] = {"roll": roll, "storm": storm}
LOGS: Final = ("kafka", "postgres")


@contextlib.contextmanager
def _sink() -> Iterator[Sink]:
    sink = Sink()
    try:
        yield sink
    finally:
        sink.stop()


async def run(servers: Services, folder: Path, name: str, log: str, before: Checkout, seed: int) -> bool:
    """Run one scenario on one log. Returns whether every promise was kept; says what was not."""
    print(f"{name}, {log} log, seed {seed}", flush=True)
    dsn = await new_database(servers.postgres.dsn, f"{name}_{log}_{seed}")
    bootstrap = servers.bootstrap if log == "kafka" else ""
    settings = _SETTINGS | {"ARGOSY_WORKFLOWS": str(Path(workflows.__file__))}
    fleet = Fleet(folder / f"{name}-{log}-{seed}", dsn, bootstrap, _PARTITIONS, eligible_s=2.0, **settings)
    try:
        with _sink() as sink:
            await SCENARIOS[name](fleet, sink, before, seed)
    except Exception as error:
        print(fleet.logs(), file=sys.stderr)
        print(f"  FAILED: {type(error).__name__}: {error}", flush=True)
        return False
    finally:
        fleet.stop()
    return True


def _checkout(root: Path, folder: Path) -> Checkout:
    """The version in `root`, with the `tests` of this one: both versions run the same workflows."""
    folder.mkdir()
    (folder / "tests").symlink_to(ROOT / "tests")
    return Checkout(_argosy(root), f"{folder}{os.pathsep}{root}")


def _argosy(root: Path) -> Path:
    return root / ".venv" / "bin" / "argosy"


async def _run_all(scenarios: list[str], logs: list[str], root: Path, seed: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="argosy-rolling-") as folder, services(Path(folder)) as servers:
        before = _checkout(root, Path(folder) / "shared")
        kept = [await run(servers, Path(folder), name, log, before, seed) for name in scenarios for log in logs]
    return all(kept)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rolling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", choices=[*SCENARIOS, []], help="roll, storm: both")
    parser.add_argument("--beside", type=Path, metavar="DIR", required=True, help="the checkout of the version before")
    parser.add_argument("--log", choices=LOGS, action="append", help="this log only")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    root = arguments.beside.resolve()
    if not _argosy(root).exists():
        parser.error(f"{_argosy(root)} is not there: install it with `make -C {root} .venv/installed-dev`")
    has_kept_all = asyncio.run(
        _run_all(arguments.scenarios or [*SCENARIOS], arguments.log or [*LOGS], root, arguments.seed)
    )
    sys.exit(0 if has_kept_all else 1)


if __name__ == "__main__":
    main()
