"""A database whose defaults are not ours: a fleet of real processes works in it, and each of its sessions has ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from argosy.store.session_settings import SESSION_SETTINGS
from tests.conftest import fresh_database, in_thread
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.foreign_defaults import make_foreign
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.processes import free_port
from tests.harness.startup_recorder import StartupRecorder

EVERYWHERE = {"argosy", "argosy accept", "argosy flush", "argosy life", "argosy preflight", "argosy migrate"}
ROLES = ("trim", "retention", "horizon", "graphs", "rebalance", "erase", "census")
MAINTENANCE = {f"argosy role {role}" for role in ROLES}
POSTGRES_LOG = {"argosy log admin", "argosy log member", "argosy log reader", "argosy log watch", "argosy log writer"}


@pytest.fixture
def database(any_postgres_dsn: str) -> Iterator[str]:
    with fresh_database(any_postgres_dsn) as dsn:
        in_thread(lambda: make_foreign(dsn))
        yield dsn


@pytest.fixture
async def recorder(idle_fleet: Fleet, database: str) -> AsyncIterator[StartupRecorder]:
    recorder = StartupRecorder(database)
    await recorder.allow()
    idle_fleet.environment["STATE_DB_URI"] = recorder.dsn
    yield recorder
    await recorder.close()


# What a session says to PostgreSQL 15 is asked of the store alone (tests/store/test_session_settings.py).
@pytest.mark.parametrize(
    "any_postgres_dsn",
    [pytest.param("15", marks=pytest.mark.slow), "18"],
    ids=["postgres15", "postgres18"],
    indirect=True,
)
@BOTH_IN_FAULTS
async def test_a_fleet_works_in_a_database_of_foreign_defaults_and_all_its_sessions_have_ours(
    idle_fleet: Fleet, recorder: StartupRecorder, client: Client, log_name: str
) -> None:
    for command in (["migrate"], ["topics"]):
        assert (await asyncio.to_thread(idle_fleet.run, *command))[0] == 0
    port = free_port()
    maintenance = idle_fleet.start_process("maintain", ["maintain"], port, {"METRICS_PORT": str(port)})
    doomed, _ = await asyncio.to_thread(idle_fleet.start, 2)
    await asyncio.to_thread(maintenance.wait_ready)

    turns = await asyncio.gather(*(client.post(f"s{n % 12}", "steps", effects=2, n=2) for n in range(36)))
    sleeping = await asyncio.gather(*(client.post(f"sleepy{n}", "sleeps", effects=2, sleep_s=0.5) for n in range(6)))
    await asyncio.to_thread(doomed.kill)
    await client.until_status([*turns, *sleeping])

    await client.judge(disruptions=1)
    began = recorder.began
    expected = EVERYWHERE | MAINTENANCE | (POSTGRES_LOG if log_name == "postgres" else set())
    assert {each.application for each in began} == expected
    for each in began:
        assert SESSION_SETTINGS.items() <= each.settings.items(), each.application
        assert b"set_config('synchronous_commit', 'on', false)" in each.said, each.application
