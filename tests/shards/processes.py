"""Shards as processes, and callers of them."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from argosy import config
from argosy.clock import SystemClock
from argosy.graph.facts import NOBODY, Member
from argosy.graph.transport import Transport
from argosy.graph.transports.connect import GrpcConnect
from argosy.secret import load_keys
from tests.harness.processes import ARGOSY, Managed, free_port
from tests.shards.shards import S


class ShardProcess:
    """One shard and its folder: started, killed and started again at the same address.

    program: what is started, and its first arguments.
    """

    def __init__(
        self, folder: Path, *arguments: str, program: Sequence[str] = (str(ARGOSY), "shard"), **settings: str
    ) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.port, self._metrics_port = free_port(), free_port()
        self.endpoint = f"127.0.0.1:{self.port}"
        self._program, *self._arguments = *program, *arguments
        self._settings = {
            "ARGOSY_DATA_DIR": str(folder),
            "ARGOSY_CONFIG_DIR": str(folder),
            "SHARD_PORT": str(self.port),
            "METRICS_PORT": str(self._metrics_port),
            "PATH": os.environ["PATH"],
            **settings,
        }
        self._managed: list[Managed] = []

    @property
    def process(self) -> Managed:
        return self._managed[-1]

    @property
    def processes(self) -> list[Managed]:
        """All that were started, in their order."""
        return list(self._managed)

    def start(self, **settings: str) -> Managed:
        process = self.begin(**settings)
        process.wait_ready()
        return process

    def begin(self, **settings: str) -> Managed:
        """Start it, and do not wait for it."""
        ready_url = f"http://127.0.0.1:{self._metrics_port}/readyz"
        environment, log = {**self._settings, **settings}, self.folder / "shard.log"
        self._managed.append(Managed("shard", self._arguments, environment, ready_url, log, Path(self._program)))
        return self.process

    def bury(self) -> None:
        for each in self._managed:
            assert each.bury() == []

    @asynccontextmanager
    async def called(self, endpoint: str = "") -> AsyncIterator[Transport]:
        """A caller that has found out which member the shard is."""
        keys = load_keys("", self.folder)
        connect = GrpcConnect(keys.shards, SystemClock(), config.load({}))
        asking = connect.to(Member(NOBODY, endpoint or self.endpoint))
        try:
            member_id = await asking.identify(deadline_s=S)
        finally:
            await asking.close()
        transport = connect.to(Member(member_id, endpoint or self.endpoint))
        try:
            yield transport
        finally:
            await transport.close()
