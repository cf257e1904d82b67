"""Who keeps dead rows from being cleaned up is said, with a name, and not again and again."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from argosy import config, telemetry
from argosy.store.maintenance import Holder
from argosy.store.pool import Pool
from argosy.workers.maintenance.horizon import Horizon, held_too_long
from tests.harness.hand_clock import HandClock
from tests.harness.metrics import value_of


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 2, 5.0)
    yield pool
    await pool.close()


@pytest.fixture
async def stranger(store_dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(store_dsn, server_settings={"application_name": "nightly report"})
    yield connection
    await connection.close()


def horizon(pool: Pool, clock: HandClock, age_s_max: float) -> Horizon:
    return Horizon(config.load({}, snapshot_held_s=age_s_max), pool, clock)


@pytest.mark.parametrize(
    "begin",
    [
        ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM pg_class"],
        ["BEGIN", "SELECT pg_current_xact_id()"],
    ],
    ids=["with a snapshot", "with an id"],
)
async def test_a_session_that_holds_on_to_the_past_is_named_once_in_an_hour(
    pool: Pool, stranger: Any, begin: list[str]
) -> None:
    for statement in begin:
        await stranger.execute(statement)
    clock = HandClock()
    role = horizon(pool, clock, 0.001)

    with capture_logs() as said:
        first = await role.tick(1)
        await role.tick(1)
    with capture_logs() as later:
        await clock.sleep(3_601)
        await role.tick(1)

    held = [each for each in said if each["event"] == telemetry.SNAPSHOT_HELD and "nightly report" in each["who"]]
    assert len(held) == 1
    assert held[0]["holder"] == f"session {stranger.get_server_pid()}"
    assert held[0]["holder"] in first.outcome
    assert value_of(telemetry.SNAPSHOT_HELD_S) > 0
    assert [each["holder"] for each in later].count(held[0]["holder"]) == 1


async def test_a_young_transaction_is_no_news(pool: Pool, stranger: Any) -> None:
    await stranger.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await stranger.fetchval("SELECT count(*) FROM pg_class")

    with capture_logs() as said:
        ticked = await horizon(pool, HandClock(), 600.0).tick(1)

    assert (said, ticked.outcome) == ([], "nobody keeps dead rows")


def test_a_slot_counts_by_the_transactions_since_because_nobody_knows_since_when() -> None:
    old, young = Holder("slot", "a", None, 1_000_000, "physical"), Holder("slot", "b", None, 999_999, "physical")

    assert held_too_long([old, young], 600.0) == [old]
