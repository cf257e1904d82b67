"""Connections: what every one of them is set to, and how a server that is away looks."""

import asyncio
import time
from typing import Any

import pytest

from argosy.errors import StoreUnavailableError
from argosy.store.pool import Pool, connect
from tests.harness.tcp_proxy import PostgresProxy


async def test_every_connection_is_set_up_the_same(store_dsn: str) -> None:
    names = ("search_path", "jit", "client_connection_check_interval", "idle_in_transaction_session_timeout")
    pool = Pool(store_dsn, 2, 10.0)
    connection = await connect(store_dsn)

    for each in (pool, connection):
        found = [await each.fetchval("SELECT current_setting($1)", name) for name in names]
        assert found == ["argosy", "off", "1s", "5s"]

    await connection.close()
    await pool.close()


async def test_a_composite_answer_is_decoded_without_help(store_dsn: str) -> None:
    connection = await connect(store_dsn)

    found = await connection.fetchval("SELECT (1, now(), '{t,f}', NULL, '{1,NULL}', '{}')::flush_answer")

    assert (found["lineage"], found["held"], found["applied"], found["places"]) == (1, [True, False], None, [1, None])
    await connection.close()


async def test_a_read_of_a_silent_server_ends_in_its_time(store_dsn: str, proxy: PostgresProxy) -> None:
    pool = Pool(proxy.dsn, 2, 0.5)
    await pool.fetchval("SELECT 1")
    proxy.hold()
    began_s = time.monotonic()

    with pytest.raises(StoreUnavailableError):
        await pool.fetchval("SELECT 1")

    assert time.monotonic() - began_s < 5
    await proxy.allow()
    assert await pool.fetchval("SELECT 1") == 1
    await pool.close()


async def test_a_pool_comes_back_with_its_server(store_dsn: str, proxy: PostgresProxy) -> None:
    pool = Pool(proxy.dsn, 2, 2.0)
    await pool.fetchval("SELECT 1")
    await proxy.refuse()
    with pytest.raises(StoreUnavailableError):
        await pool.fetchval("SELECT 1")

    await proxy.allow()

    assert await pool.fetchval("SELECT 1") == 1
    await pool.close()


@pytest.mark.parametrize("change", [("/test_", "/no_such_"), ("//argosy", "//nobody_at_all")])
async def test_a_server_that_will_not_have_us_is_unavailable(store_dsn: str, change: tuple[str, str]) -> None:
    other = store_dsn.replace(*change, 1)
    assert other != store_dsn
    pool = Pool(other, 2, 5.0)

    with pytest.raises(StoreUnavailableError):
        await connect(other)
    with pytest.raises(StoreUnavailableError):
        await pool.fetchval("SELECT 1")
    await pool.close()


async def test_a_wrong_statement_is_not_taken_for_a_server_that_is_away(store_dsn: str) -> None:
    pool = Pool(store_dsn, 2, 5.0)

    with pytest.raises(Exception, match="division by zero") as wrong:
        await pool.fetchval("SELECT 1 / 0")

    assert not isinstance(wrong.value, StoreUnavailableError)
    await pool.close()


async def test_a_database_whose_tables_are_not_back_yet_is_unavailable(store_dsn: str) -> None:
    pool = Pool(store_dsn, 2, 5.0)

    with pytest.raises(StoreUnavailableError, match="UndefinedTable"):
        await pool.fetchval("SELECT turn_id FROM turns_before_the_restore")

    await pool.close()


async def backends(connection: Any) -> int:
    """Of the database, but for this connection's."""
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
    )


async def test_reads_at_once_share_a_bounded_number_of_connections(store_dsn: str) -> None:
    pool, connection = Pool(store_dsn, 3, 10.0), await connect(store_dsn)

    await asyncio.gather(*(pool.fetchval("SELECT pg_sleep(0.02)") for _ in range(20)))

    assert await backends(connection) == 3
    await pool.close()
    await connection.close()


async def test_reads_one_after_the_other_share_one_connection(store_dsn: str) -> None:
    pool = Pool(store_dsn, 3, 10.0)

    pids = {await pool.fetchval("SELECT pg_backend_pid()") for _ in range(5)}

    assert len(pids) == 1
    await pool.close()


async def test_a_connection_that_its_server_has_ended_is_not_used_again(store_dsn: str) -> None:
    pool, connection = Pool(store_dsn, 1, 10.0), await connect(store_dsn)
    before = await pool.fetchval("SELECT pg_backend_pid()")
    await connection.fetchval("SELECT pg_terminate_backend($1, 5000)", before)
    async with asyncio.timeout(5):
        while not pool._idle[0][0].is_closed():  # noqa: ASYNC110 — the loop hears of it when it does
            await asyncio.sleep(0)

    after = await pool.fetchval("SELECT pg_backend_pid()")

    assert after != before
    await pool.close()
    await connection.close()


async def test_who_waits_for_a_connection_in_vain_is_told_in_time(store_dsn: str) -> None:
    pool = Pool(store_dsn, 1, 0.3)
    reading = asyncio.create_task(pool.fetchval("SELECT pg_sleep(0.25)"))
    await asyncio.sleep(0)

    with pytest.raises(StoreUnavailableError):
        await pool.fetchval("SELECT pg_sleep(0.25)")

    await reading
    await pool.close()


async def test_connections_that_are_not_needed_any_more_are_closed_though_nobody_reads(store_dsn: str) -> None:
    pool, connection = Pool(store_dsn, 3, 10.0, idle_s=0.05), await connect(store_dsn)

    await asyncio.gather(*(pool.fetchval("SELECT pg_sleep(0.02)") for _ in range(3)))

    async with asyncio.timeout(5):
        while await backends(connection):  # noqa: ASYNC110 — Postgres has no event for it
            await asyncio.sleep(0.001)
    assert await pool.fetchval("SELECT 1") == 1
    await pool.close()
    await connection.close()


async def test_nothing_is_read_once_it_is_closed(store_dsn: str) -> None:
    pool = Pool(store_dsn, 3, 10.0)
    await pool.fetchval("SELECT 1")
    await pool.close()

    with pytest.raises(StoreUnavailableError, match="is ending"):
        await pool.fetchval("SELECT 1")


async def test_a_read_that_a_close_meets_comes_to_its_end(store_dsn: str) -> None:
    pool, connection = Pool(store_dsn, 1, 10.0), await connect(store_dsn)
    reading = asyncio.create_task(pool.fetchval("SELECT 7 FROM pg_sleep(0.1)"))
    async with asyncio.timeout(5):
        while not await backends(connection):  # noqa: ASYNC110 — Postgres has no event for it
            await asyncio.sleep(0.001)

    await pool.close()

    assert await reading == 7
    await connection.close()
