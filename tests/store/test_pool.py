"""Connections: what every one of them is set to, and how a server that is away looks."""

import time

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
