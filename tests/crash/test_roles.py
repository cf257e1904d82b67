"""A whole fleet whose role of the database owns nothing of it, and maintenance with a role of its own."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from argosy.local.postgres import EmbeddedPostgres
from tests.conftest import open_folder
from tests.crash.erasures import ERASING, begin_maintain
from tests.crash.test_erasure import erased
from tests.harness.client import Client
from tests.harness.fixtures import prepared
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.processes import free_port
from tests.shards.processes import ShardProcess

FLEET, MAINTENANCE = "fleet", "maintenance"

pytestmark = pytest.mark.slow


@pytest.fixture
def owner() -> Iterator[str]:
    """The address of a database for whoever owns it."""
    with open_folder() as path, EmbeddedPostgres(path, tcp_port=free_port()) as server:
        yield server.tcp_dsn


def address(owner: str, role: str) -> str:
    parts = urlsplit(owner)
    return urlunsplit(parts._replace(netloc=f"{role}:{role}@127.0.0.1:{parts.port}"))


@pytest.fixture
def owned(owner: str, shard: ShardProcess, tmp_path: Path) -> Iterator[Fleet]:
    settings: Any = {"ARGOSY_WORKFLOWS": f"{WORKFLOWS},{ERASING}", "GRAPH_SERVICE_ENDPOINTS": shard.endpoint}
    with prepared(Fleet(tmp_path / "fleet", owner, "", **settings)) as fleet:
        yield fleet


async def make_roles(owner: str) -> None:
    connection = await asyncpg.connect(owner)
    await connection.execute(f"CREATE ROLE {FLEET} LOGIN PASSWORD '{FLEET}'")
    await connection.execute(f"CREATE ROLE {MAINTENANCE} LOGIN PASSWORD '{MAINTENANCE}' IN ROLE {FLEET}")
    await connection.close()


async def grow_old(owner: str) -> None:
    """Turns are kept for a day, and some minutes after the log has forgotten them: let these have passed."""
    connection = await asyncpg.connect(owner)
    past = "accepted_at = accepted_at - interval '2 days', ended_at = ended_at - interval '2 days'"
    await connection.execute(f"UPDATE argosy.turns SET {past}")  # noqa: S608
    await connection.close()


async def test_turns_graphs_erasures_and_retention_need_no_owner(owned: Fleet, owner: str, shard: ShardProcess) -> None:
    await make_roles(owner)
    granting = ["migrate", "--grant-to", FLEET, "--grant-maintenance-to", MAINTENANCE]
    code, said = await asyncio.to_thread(owned.run, *granting)
    assert (code, "granted to maintenance" in said) == (0, True), said
    owned.environment["STATE_DB_URI"] = address(owner, FLEET)
    await asyncio.to_thread(owned.gateway)
    await asyncio.to_thread(owned.worker)

    await erased(owned, shard)

    for each in owned.processes:  # the leader of before has the fleet's role
        if each.name == "maintain":
            assert await asyncio.to_thread(each.terminate) == 0
    await grow_old(owner)
    owned.environment |= {"STATE_DB_URI": address(owner, MAINTENANCE), "RETENTION_S": "0", "TRIM_LAG_S": "0"}
    begin_maintain(owned)
    client = Client(owned.url, None)  # type: ignore[arg-type]
    until_s = time.monotonic() + 40
    while (found := (await client.request("GET", "/v1/sessions")).json())["sessions"]:
        assert time.monotonic() < until_s, found  # role retention forgets them all
        await asyncio.sleep(0.2)
    assert "permission denied" not in owned.logs()
    assert "InsufficientPrivilege" not in owned.logs()
    await client.close()
