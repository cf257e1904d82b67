"""`argosy setup`, which makes the database and the log ready, whoever of them comes first."""

import asyncio
from urllib.parse import urlencode, urlsplit, urlunsplit

import pytest

from tests.harness.fleet import Fleet
from tests.harness.logs import KAFKA_FIRST
from tests.harness.processes import Managed, free_port
from tests.harness.tcp_proxy import TcpProxy, target_of

POSTGRES_LOG = pytest.mark.parametrize("log_name", ["postgres"])


def begin(fleet: Fleet, *options: str) -> Managed:
    return fleet.start_process("setup", ["setup", *options], 0, {})


@KAFKA_FIRST
def test_several_at_once_prepare_a_fleet_and_one_more_finds_nothing_missing(unprepared: Fleet) -> None:
    ended = [(each.wait_dead(60), each.tail()) for each in [begin(unprepared) for _ in range(3)]]

    assert [code for code, _ in ended] == [0, 0, 0], ended
    assert sum("applied: 0001_spine" in output for _, output in ended) == 1
    code, output = unprepared.run("setup")
    assert code == 0
    assert "\nnothing was missing\n" in output
    assert f"{unprepared.name}" in output.splitlines()[-1]
    assert unprepared.run("migrate", "--check")[0] == 0


@POSTGRES_LOG
async def test_a_database_that_comes_up_last_is_waited_for(unprepared: Fleet) -> None:
    dsn = unprepared.environment["STATE_DB_URI"]
    proxy = TcpProxy(target_of(dsn), free_port())
    unprepared.environment["STATE_DB_URI"] = through(dsn, proxy.port)
    setting_up = begin(unprepared, "--wait", "60")
    async with asyncio.timeout(30):
        while "waiting for Postgres" not in setting_up.tail():  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    await proxy.allow()

    assert await asyncio.to_thread(setting_up.wait_dead, 60) == 0, setting_up.tail()
    await proxy.close()


@pytest.mark.parametrize(
    ("log_name", "settings", "code", "named"),
    [
        (
            "postgres",
            {"STATE_DB_URI": "postgresql://127.0.0.1:1/argosy"},
            75,
            "argosy: Postgres (STATE_DB_URI): ",
        ),
        ("postgres", {"STATE_DB_URI": ""}, 1, "STATE_DB_URI is not set"),
        (
            "kafka",
            {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
            75,
            "(KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1): Kafka",
        ),
        ("kafka", {"KAFKA_REPLICATION": "3"}, 75, "KAFKA_REPLICATION=3, but the cluster has 1 brokers"),
    ],
)
def test_what_never_comes_is_named_in_the_last_line_and_the_code_says_whether_to_try_again(
    unprepared: Fleet, settings: dict[str, str], code: int, named: str
) -> None:
    unprepared.environment |= settings

    ended, output = unprepared.run("setup", "--wait", "1")

    assert ended == code
    assert named in output.splitlines()[-1], output


def through(dsn: str, port: int) -> str:
    """The same database by TCP at this port."""
    parts = urlsplit(dsn)
    user = parts.username or "postgres"
    return urlunsplit((parts.scheme, f"{user}@127.0.0.1:{port}", parts.path, urlencode({"sslmode": "disable"}), ""))
