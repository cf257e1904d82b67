"""A fleet of real processes on one log and one truth, for one test."""

import asyncio
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from argosy import config
from argosy.address import bare_host, http_url
from argosy.logs.open import ensure
from argosy.store import migrate
from tests.harness.processes import ARGOSY, ROOT, Checkout, Managed, free_port

WORKFLOWS = ROOT / "tests" / "journey" / "workflows.py"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "JAVA_HOME", "PYTHONDONTWRITEBYTECODE")


class Fleet:
    """Starts and stops gateways and workers.

    dsn: Postgres, a database of the test's own, or "" for an embedded one. bootstrap: Kafka, or "" for the Postgres
    log. Every fleet has its own topic and group, so tests share a broker without meeting. eligible_s: for how long the
    log leaves its partitions with a member that it does not hear of.
    """

    def __init__(
        self,
        folder: Path,
        dsn: str,
        bootstrap: str,
        partitions: int = 8,
        *,
        eligible_s: float = 2.0,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.name = f"t{uuid.uuid4().hex[:10]}"
        self.processes: list[Managed] = []
        self._argosy = ARGOSY
        self._started = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
            "PYTHONPATH": str(ROOT),
            "ARGOSY_DATA_DIR": str(folder / "data"),
            "ARGOSY_CONFIG_DIR": str(folder / "config"),
            "ARGOSY_WORKFLOWS": str(WORKFLOWS),
            "KAFKA_TOPIC_PREFIX": self.name,
            "KAFKA_GROUP": self.name,
            "AGENT_TURNS_PARTITIONS": str(partitions),
            "INGEST_TOPIC": f"ingest-{self.name}",
            "KAFKA_INGEST_GROUP": f"ingest-{self.name}",
            "KG_TASKS_PARTITIONS": "4",
            "AGENT_DISPATCH_BACKEND": "queue",
            "LOG_LEASE_TTL_S": f"{eligible_s:g}",
            "KAFKA_GROUP_SESSION_TIMEOUT_MS": f"{eligible_s * 1000:.0f}",
            "RECONCILE_INTERVAL_S": "0.2",
            "GATEWAY_CACHE_S": "0.2",
            "GRAPH_SERVICE_AUTH_SECRET": "a secret of the tests, long enough",
            **settings,
        }
        if dsn:
            self.environment["STATE_DB_URI"] = dsn
        self.partitions = partitions
        self.bootstrap = bootstrap
        if bootstrap:
            self.environment["KAFKA_BOOTSTRAP_SERVERS"] = bootstrap
        self.port = free_port()

    @property
    def url(self) -> str:
        return http_url(bare_host(self.environment.get("HOST", "127.0.0.1")), self.port)

    def start_process(
        self, name: str, arguments: list[str], ready_port: int, settings: dict[str, str], host_setting: str = "HOST"
    ) -> Managed:
        self._started += 1
        log = self.folder / f"{self._started:02}-{name}.log"
        environment = self.environment | settings
        ready_url = http_url(bare_host(environment.get(host_setting, "127.0.0.1")), ready_port, "/readyz")
        process = Managed(name, arguments, environment, ready_url, log, self._argosy)
        self.processes.append(process)
        return process

    def use(self, checkout: Checkout) -> None:
        """What is started from now on is of this version."""
        self._argosy = checkout.argosy
        self.environment["PYTHONPATH"] = checkout.python_path

    def prepare(self) -> None:
        """Migrate the database and make the topics: what `argosy migrate` and `argosy topics` do, in this process."""
        with ThreadPoolExecutor(1) as thread:  # the caller's thread may have a loop of its own
            thread.submit(lambda: asyncio.run(self._prepare())).result(60)

    async def _prepare(self) -> None:
        dsn = self.environment["STATE_DB_URI"]
        await migrate.migrate(dsn)
        await ensure(config.load(self.environment), dsn)

    def run(self, *arguments: str, within_s: float = 60) -> tuple[int, str]:
        """One command to its end: its exit code and its output."""
        process = self.start_process("-".join(arguments[:2]), list(arguments), 0, {})
        return process.wait_dead(within_s), process.tail()

    def begin_gateway(self, **settings: str) -> Managed:
        """A gateway on the fleet's port (or settings["PORT"]), which may not be ready yet."""
        port = int(settings.get("PORT", self.port))
        return self.start_process("gateway", ["gateway"], port, {"PORT": str(port), **settings})

    def gateway(self, **settings: str) -> Managed:
        """A gateway on the fleet's port (or settings["PORT"]), once it is ready."""
        process = self.begin_gateway(**settings)
        process.wait_ready()
        return process

    def begin_worker(self, *, crash_at: str = "", **settings: str) -> Managed:
        """A dispatch worker, which may not be ready yet.

        crash_at: a named point (argosy/crash_points.py) at which it ends as by kill -9.
        """
        port = int(settings.get("METRICS_PORT", free_port()))
        settings = {"METRICS_PORT": str(port), **settings}
        if crash_at:
            settings["ARGOSY_CRASH_AT"] = crash_at
        return self.start_process("worker", ["worker", "dispatch"], port, settings, "METRICS_HOST")

    def worker(self, *, crash_at: str = "", **settings: str) -> Managed:
        """A dispatch worker, once it is ready."""
        process = self.begin_worker(crash_at=crash_at, **settings)
        process.wait_ready()
        return process

    def begin_ingest_worker(self, *, crash_at: str = "", **settings: str) -> Managed:
        """An ingest worker, which may not be ready yet. crash_at: as for begin_worker."""
        port = int(settings.get("METRICS_PORT", free_port()))
        settings = {"METRICS_PORT": str(port), **settings}
        if crash_at:
            settings["ARGOSY_CRASH_AT"] = crash_at
        return self.start_process("ingest-worker", ["worker", "ingest"], port, settings, "METRICS_HOST")

    def ingest_worker(self, *, crash_at: str = "", **settings: str) -> Managed:
        """An ingest worker, once it is ready."""
        process = self.begin_ingest_worker(crash_at=crash_at, **settings)
        process.wait_ready()
        return process

    def workers(self, count: int, **settings: str) -> list[Managed]:
        """So many workers, started at once."""
        started = [self.begin_worker(**settings) for _ in range(count)]
        for process in started:
            process.wait_ready()
        return started

    def start(self, workers: int = 1, **settings: str) -> list[Managed]:
        """A gateway and so many workers, started at once; the workers."""
        gateway = self.begin_gateway()
        started = self.workers(workers, **settings)
        gateway.wait_ready()
        return started

    def up(self, *options: str, **settings: str) -> Managed:
        """`argosy up`, once it is ready: everything in one process tree."""
        process = self.start_process("up", ["up", *options], self.port, {"PORT": str(self.port), **settings})
        process.wait_ready(60)
        process.wait_said("ready http")  # its worker and its shard, too
        return process

    def logs(self) -> str:
        """The ends of all logs, for a failed test."""
        return "\n".join(process.tail(20_000) for process in self.processes if process.log.exists())

    def stop(self) -> None:
        """End everything. Raises AssertionError when something was left behind by a process that had ended."""
        left = {process.name: pids for process in reversed(self.processes) if (pids := process.bury())}
        assert not left, f"processes were left behind: {left}"
