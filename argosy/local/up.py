"""The process trees of `argosy up` (everything on one machine) and `argosy broker`.

`up` starts Postgres behind its guard (unless STATE_DB_URI names a Postgres), a gateway, a dispatch worker (unless
AGENT_DISPATCH_BACKEND=queue), a shard for graphs (own_shard.py), where there are graphs an ingest worker,
and maintenance. Each child watches a pipe that closes when this process is gone, however it ended. A child that ends by
itself, other than Postgres, is started again, and its turns and uploads go on from what is recorded.
"""

import asyncio
import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx2
from rich.console import Console

from argosy.address import check_reach, host_port, http_url, to_bind
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import ArgosyError, SettingError, UnavailableError, WorkflowError
from argosy.extras import has_extra
from argosy.local.admin_token import first_token, own_token
from argosy.local.demonstration import forget, read_turns, show
from argosy.local.own_shard import is_listening, prepare_shard
from argosy.local.postgres import EmbeddedPostgres
from argosy.local.processes import GATEWAY, INGEST, MAINTENANCE, SHARD, WORKER, Process
from argosy.local.supervisor import Ended, Part, ProcessPart, Supervisor
from argosy.logs.open import ensure
from argosy.process.ending import BROKEN_CODE
from argosy.process.parent import watch_parent
from argosy.process.stopping import Stopping
from argosy.store import migrate, preflight
from argosy.workflow.catalog import broken_files

_LOOK_S: Final = 0.2  # how late an end, or Ctrl+C, is seen


class Tree:
    """The process tree of `argosy up`. `run` starts it, and returns the exit code.

    Raises, before anything is started: CallerError when the file `demo` has no turns to post, WorkflowError when a file
    with workflows is not there or is no Python, SettingError when HOST is refused.
    """

    def __init__(self, settings: Settings, *, demo: Path | None, is_once: bool, parent_fd: int | None) -> None:
        self._settings = settings
        self._demo = None if demo is None else (read_turns(demo), demo.name)
        self._is_once = is_once
        check_reach(settings.host, is_remote_allowed=settings.gateway_allow_remote)
        self._shard: Path | None = None  # the socket of the shard that this tree brings
        self._has_worker = settings.agent_dispatch_backend == "inline"
        if self._has_worker and (broken := broken_files(settings.argosy_workflows)):
            raise WorkflowError("; ".join(map(str, broken)))
        self._clock = SystemClock()
        self._console = Console(highlight=False)
        self._stopping = Stopping.on_signals()
        self._supervisor = Supervisor(self._clock, self)
        self._children: dict[Process, ProcessPart] = {}
        self._environment: dict[str, str] = {}
        self._port = settings.port
        self._postgres: EmbeddedPostgres | None = None
        self._token: str | None = None  # with which this process asks its gateway
        self._first_token: Path | None = None
        self._gateways_own: dict[str, str] = {}  # settings that its other children need not know
        if parent_fd is not None:
            # The gateway ends before the worker is told to.
            watch_parent(parent_fd, self._stopping.set, settings.gateway_stop_s + settings.stop_s)

    def run(self) -> int:
        with ExitStack() as stack:
            self._prepare(stack)
            stack.callback(self._stop_children)  # the stack unwinds in reverse: the children stop before Postgres
            self._start_children()
            url = self._wait_ready()
            self._start(MAINTENANCE)  # after the others: nothing waits for it, nor for uploads
            # Also where the database has other shards than the one of this folder.
            has_graphs = bool(self._settings.graph_service_endpoints) or has_extra("graph")
            if has_graphs:
                self._start(INGEST)
            self._say(f"[green]ready[/] {url}   (API: {url}/docs)")
            if self._first_token is not None:
                self._say(f"a token for an administrator: {self._first_token}   (argosy login --url {url} < that file)")
            code = 0
            if self._demo is not None and not self._stopping.is_set():
                if not has_graphs and forget(self._demo[0]):
                    self._say("[yellow]nothing is remembered:[/] that needs a shard (pip install 'argosy\\[graph]')")
                code = 0 if show(*self._demo, url, self._token, self._console) else 1
            if not self._is_once:
                self._say("serving; Ctrl-C ends it, and nothing is lost")
                self._supervisor.watch(self._stopping, self._check_postgres)
            return code

    def _say(self, text: str) -> None:
        self._console.print(text)

    def _warn(self, text: str) -> None:
        self._say(f"[yellow]warning:[/] {text}")

    def _prepare(self, stack: ExitStack) -> None:
        settings = self._settings
        self._port = _free_port(settings.host, settings.port)
        dsn, own = settings.state_db_uri, dict[str, str]()
        if not dsn:
            self._say(f"starting Postgres in {settings.argosy_data_dir / 'postgres'}")
            self._postgres = stack.enter_context(EmbeddedPostgres(settings.argosy_data_dir / "postgres"))
            dsn = self._postgres.dsn
            own["STATE_DB_URI"] = dsn  # a STATE_DB_URI of the user's the children read where this process did
        for warning in asyncio.run(preflight.check(dsn)):
            self._warn(warning)
        for name in asyncio.run(migrate.migrate(dsn)):
            self._say(f"applied migration {name}")
        for warning in asyncio.run(ensure(settings, dsn)):
            self._warn(warning)
        self._shard = asyncio.run(prepare_shard(settings, dsn, self._clock, self._warn))
        if settings.kg_auth_required:
            self._prepare_tokens(dsn)
        self._environment = {
            **os.environ,
            "HOST": settings.host,
            "PORT": str(self._port),
            "ARGOSY_WORKFLOWS": ",".join(settings.argosy_workflows),
            "ARGOSY_DATA_DIR": str(settings.argosy_data_dir),
            "AGENT_DISPATCH_BACKEND": "queue",
            # The children share the user's terminal: their ordinary "info" lines are not printed there.
            "LOG_LEVEL": "warning" if settings.log_level == "info" else settings.log_level,
            **own,
        }

    def _prepare_tokens(self, dsn: str) -> None:
        """Make the token with which this process asks its gateway, and, while there is none, one for its user."""
        settings = self._settings
        if settings.argosy_admin_token:
            self._token = settings.argosy_admin_token.strip()
            return
        self._token, path = own_token(settings.argosy_data_dir)
        self._gateways_own["ARGOSY_ADMIN_TOKEN_FILE"] = str(path)
        self._first_token = asyncio.run(first_token(settings, dsn))

    def _start_children(self) -> None:
        for process, is_wanted in ((SHARD, self._shard is not None), (GATEWAY, True), (WORKER, self._has_worker)):
            if is_wanted:
                self._say(f"starting {process.label}")
                self._start(process)

    def _start(self, process: Process) -> None:
        # METRICS_PORT is the worker's, and two processes cannot listen on one port: the gateway has those behind it,
        # and the others take free ones.
        port = self._settings.metrics_port
        gateways = {"METRICS_PORT": str(port + 1 if 0 < port < 65_535 else 0), **self._gateways_own}
        own = {GATEWAY: gateways, WORKER: dict[str, str]()}.get(process, {"METRICS_PORT": "0"})
        options = {WORKER: ("--strict",), SHARD: ("--socket", str(self._shard))}.get(process, ())
        self._children[process] = ProcessPart(process.label, process.command(*options), self._environment | own)
        self._supervisor.start(self._children[process])

    def _wait_ready(self) -> str:
        """Wait until the gateway is ready, a worker has registered workflows, and the shard takes calls. Returns the
        gateway's URL, also when this process is told to stop first. Raises UnavailableError when a child ends first, or
        after ARGOSY_READY_S.
        """
        url = http_url(self._settings.host, self._port)
        ready_s = self._settings.argosy_ready_s
        deadline_s = self._clock.monotonic_s() + ready_s
        headers = {} if self._token is None else {"authorization": f"Bearer {self._token}"}
        with httpx2.Client(timeout=2.0, trust_env=False, headers=headers) as client:
            while not self._stopping.wait(0.05):
                if (first := self._supervisor.first_ended()) is not None:
                    part, ended = first
                    if part is self._children.get(WORKER) and ended.code == BROKEN_CODE:
                        sys.exit(1)  # the worker has printed what is broken
                    raise UnavailableError(f"{part.label} ended with {ended.reason} before it was ready")
                if _is_ready(client, url) and (self._shard is None or is_listening(self._shard)):
                    return url
                if self._clock.monotonic_s() > deadline_s:
                    raise UnavailableError(f"the gateway at {url} is not ready after {ready_s:g} s (ARGOSY_READY_S)")
        return url

    def _check_postgres(self) -> None:
        """Raise UnavailableError when Postgres has ended by itself."""
        if self._postgres is not None and (ended := self._postgres.poll()) is not None:
            raise UnavailableError(f"Postgres ended by itself (exit code {ended}): start again, nothing is lost")

    def say_ended(self, part: Part, ended: Ended, delay_s: float) -> None:
        """See Reporter."""
        self._say(f"[red]{part.label} ended ({ended.reason})[/]: started again in {delay_s:g} s")

    def _stop_children(self) -> None:
        """Stop the gateway first, so that no new turns arrive, then at once those that work, of which the worker
        drains, and the shard, to which they may write until then, last.
        """
        for processes in ((GATEWAY,), (INGEST, MAINTENANCE, WORKER), (SHARD,)):
            ending = [child for each in processes if (child := self._children.pop(each, None)) is not None]
            for child in ending:
                self._supervisor.forget(child)
                child.terminate()
            for child in ending:
                child.stop(self._settings.stop_s)


def _free_port(host: str, port: int) -> int:
    """Return the port, or a free one when port is 0. Raises SettingError when it cannot be bound: if another process
    listens on it, this tree would take that process for its gateway.
    """
    try:
        family, address = to_bind(host, port)
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise SettingError(f"{host_port(host, port)} cannot be bound: {error.strerror} (HOST, PORT)") from error


def _is_ready(client: httpx2.Client, url: str) -> bool:
    """Whether the gateway is ready and knows a workflow, by one try of each: argosy.client would repeat a try for as
    long as nobody answers, and meanwhile nobody would see that a child has ended.
    """
    try:
        if client.get(f"{url}/readyz").status_code != 200:
            return False
        return bool(client.get(f"{url}/v1/workflows").json()["workflows"])
    except (httpx2.HTTPError, ValueError, KeyError):
        return False


def serve_broker(settings: Settings, nodes: int, port: int) -> int:
    """Run a broker until Ctrl-C or SIGTERM, and return the exit code. Raises SettingError, UnavailableError (it does
    not start), ArgosyError (one of its nodes ended by itself).
    """
    from argosy.local.broker import Broker  # imported here: `up` runs without argosy[kafka]

    if nodes not in (1, 3):
        raise SettingError(f"--nodes {nodes}: a broker has 1 node, or 3 to survive the loss of one")
    stopping = Stopping.on_signals()
    console = Console(highlight=False)
    console.print(f"starting Kafka ({nodes} node{'s' if nodes > 1 else ''}); the first time its jars are fetched")
    folder, cache = settings.argosy_data_dir / f"broker-{nodes}", settings.argosy_data_dir / "cache"
    with Broker(folder, nodes=nodes, port=port, cache_dir=cache) as broker:
        console.print(f"[green]ready[/] KAFKA_BOOTSTRAP_SERVERS={broker.bootstrap_servers}")
        while not stopping.wait(_LOOK_S):
            if ended := broker.ended():
                raise ArgosyError(f"a node of the broker ended by itself: {ended}")
    return 0
