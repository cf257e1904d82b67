"""`argosy.Argosy`: a client that runs its own fleet in this process, for scripts, notebooks and tests."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

import structlog

from argosy import config, log_lines
from argosy.client.async_client import AsyncClient
from argosy.client.connection import UNIX
from argosy.errors import SettingError, WorkflowError
from argosy.local.fleet import embedded_fleet
from argosy.local.sockets import short_folder
from argosy.workflow.catalog import Catalog
from argosy.workflow.definition import workflow_of

DRAIN_S: Final = 5.0  # less than a worker's own default (20 s): a program that ends waits for it

# These override the environment: a script must not become a worker of another fleet by accident.
_ITS_OWN: Final[dict[str, Any]] = {
    "state_db_uri": "",
    "kafka_bootstrap_servers": "",
    "task_queue_backend": "postgres",
    "agent_dispatch_backend": "queue",
    "gateway_allow_remote": False,
    "grpc_host": "127.0.0.1",
    "grpc_port": 0,
    "metrics_host": "127.0.0.1",
    "metrics_port": 0,
    "argosy_crash_at": "",
    "graph_service_endpoints": (),
    "shard_dir": "",
}
_NOT_SETTINGS: Final = _ITS_OWN.keys() | {"argosy_data_dir", "argosy_workflows", "host", "port", "gateway_workers"}


class Argosy(AsyncClient):
    """An AsyncClient of a durable fleet that runs in this process while its `async with` block lasts. One instance can
    be entered once.

    workflows: decorated functions, and files or modules as `argosy up --workflows` takes them. data_dir: the folder of
    the fleet's Postgres and graphs; by default that of `argosy up`. Turns that are accepted there survive this process,
    and go on when the folder is opened again. settings: by their names in lower case, instead of the environment's;
    settings that the fleet itself determines (state_db_uri, port, …) are refused.

    Steps run on the caller's event loop, so code that blocks the loop stops them, too. At the end of the block, steps
    in flight have 5 s (drain_timeout_s) to end. A plain `def` step that still runs then cannot be stopped: it goes on
    until the interpreter exits, which does not wait for it.
    `url` is the gateway's address for other processes of this user.

    Raises SettingError (another Argosy has the folder), WorkflowError (a workflow is broken), UnavailableError.
    """

    def __init__(
        self,
        *,
        workflows: Sequence[str | Path | Callable[..., Any]] = (),
        data_dir: str | Path | None = None,
        retry_s: float = 30.0,
        **settings: Any,
    ) -> None:
        if refused := _NOT_SETTINGS & settings.keys():
            raise SettingError(f"{min(refused)} is not for the caller to set here: a fleet in process has its own")
        folder = None if data_dir is None else Path(data_dir).expanduser().absolute()
        self._workflows = tuple(workflows)
        self._settings = config.load(
            is_embedded=True, **{"drain_timeout_s": DRAIN_S, **settings, **_ITS_OWN, "argosy_data_dir": folder}
        )
        self._socket = _socket_path(self._settings.argosy_data_dir)
        self._stack = AsyncExitStack()
        self.url = f"{UNIX}{self._socket}"
        super().__init__(self.url, retry_s=retry_s)

    async def __aenter__(self) -> Self:
        if not structlog.is_configured():  # by default structlog prints every event to stdout
            level = "warning" if self._settings.log_level == "info" else self._settings.log_level
            log_lines.set_up_logging(level, self._settings.log_format, is_own_process=False)
        async with AsyncExitStack() as stack:
            fleet = embedded_fleet(self._settings, _catalog(self._workflows), self._socket)
            await stack.enter_async_context(fleet)
            stack.push_async_callback(self.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def _catalog(workflows: Sequence[str | Path | Callable[..., Any]]) -> Catalog:
    """Return a catalog of the workflows. Raises WorkflowError when one is broken, or is no workflow."""
    catalog = Catalog.load(str(each) for each in workflows if isinstance(each, str | Path))
    for each in workflows:
        if isinstance(each, str | Path):
            continue
        declared = workflow_of(each)
        if declared is None:
            raise WorkflowError(f"{each!r} is no workflow: declare it with @workflow")
        catalog.add(declared, each.__module__)
    for broken in catalog.broken:
        raise WorkflowError(str(broken))
    return catalog


def _socket_path(folder: Path) -> Path:
    return short_folder(folder / "gateway", "socket", folder, "argosy-gateway") / "socket"
