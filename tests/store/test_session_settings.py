"""Whatever a DBA or a hosting platform has set for the server, the database or the role: our sessions run with ours."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from argosy.errors import SettingError, StoreUnavailableError
from argosy.store import preflight
from argosy.store.migrate import migrate
from argosy.store.numbered_stream import NumberedStream
from argosy.store.partition import Partitions
from argosy.store.pool import Pool, connect
from argosy.store.session_settings import SESSION_SETTINGS
from tests.conftest import fresh_database
from tests.harness.foreign_defaults import make_foreign, set_defaults
from tests.store.hand import FLUSH_SQL, Change, Hand, New, flush_arguments
from tests.store.test_claim import until_waiting


@pytest.fixture
def own_database(any_postgres_dsn: str) -> Iterator[str]:
    with fresh_database(any_postgres_dsn) as dsn:
        yield dsn


async def settings_of(connection: Any) -> dict[str, str]:
    return {row[0]: row[1] for row in await connection.fetch("SELECT name, setting FROM pg_settings")}


async def test_a_session_has_our_settings_whatever_the_defaults_of_the_database_are(own_database: str) -> None:
    await make_foreign(own_database)
    theirs = await asyncpg.connect(own_database)
    # Theirs are too short for reading all settings on a machine that has much else to do. These are not ours either.
    timeouts = ["statement_timeout", *(["transaction_timeout"] if theirs.get_server_version().major >= 17 else [])]
    for name in timeouts:
        await theirs.execute(f"SET {name} = '1min'")
    foreign = await settings_of(theirs)
    await theirs.close()

    ours = await connect(own_database)
    found = await settings_of(ours)
    await ours.close()

    wanted = {name: value for name, value in SESSION_SETTINGS.items() if not name.startswith("tcp_")}
    assert {name for name in wanted if foreign[name] == wanted[name]} <= {"default_table_access_method"}
    assert {name: found[name] for name in wanted} == wanted
    assert found["synchronous_commit"] == "on"
    assert found["client_encoding"] == "UTF8"
    assert found.get("transaction_timeout", "0") == "0"


async def test_a_stricter_commit_stays_as_strict(own_database: str) -> None:
    await set_defaults(own_database, {"synchronous_commit": "remote_apply"})

    ours = await connect(own_database)

    assert await ours.fetchval("SHOW synchronous_commit") == "remote_apply"
    await ours.close()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_a_flush_that_waited_for_a_claim_is_refused_under_any_default_isolation(
    own_database: str, level: str
) -> None:
    await set_defaults(own_database, {"default_transaction_isolation": level})
    await migrate(own_database)
    turn, hand, other = New("a"), await Hand(own_database).open(), await Hand(own_database).open()
    await hand.claim()
    await hand.accept(turn)
    transaction = other.connections[2].transaction()
    await transaction.start()
    await other.claim(turn.partition)

    flushing = asyncio.create_task(hand.flush(Change(turn, ("queued", 0, 0), "running")))
    await until_waiting(hand, 1)
    await transaction.commit()

    assert (await flushing).held == [False]
    assert await hand.status(turn) == "queued"
    for each in (hand, other):
        await each.close()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_the_fence_itself_refuses_a_session_of_another_isolation(store_dsn: str, hand: Hand, level: str) -> None:
    turn = New("a")
    await hand.accept(turn)
    await hand.connections[2].execute(f"SET default_transaction_isolation = '{level}'")

    for refuse in (hand.flush(Change(turn, ("queued", 0, 0), "running")), hand.claim(turn.partition)):
        with pytest.raises(asyncpg.PostgresError, match=f"this session runs {level}") as refused:
            await refuse
        assert refused.value.sqlstate == "AR004"


async def test_a_stream_whose_session_was_changed_goes_on_with_another(store_dsn: str, hand: Hand) -> None:
    turn = New("a")
    await hand.accept(turn)
    stream = NumberedStream(store_dsn, hand.worker_id, 2, timeout_s=5.0)
    await stream._connect()
    await stream._connection.execute("SET default_transaction_isolation = 'serializable'")

    answer = await stream.call(
        FLUSH_SQL["flush"], *flush_arguments("default", hand.epochs, [Change(turn, ("queued", 0, 0), "running")])
    )

    assert (answer.held, answer.applied) == ([True], None)
    await stream.close()


async def test_a_session_of_the_pool_that_was_changed_is_given_up(store_dsn: str, hand: Hand) -> None:
    pool = Pool(store_dsn, 1, 5.0)
    await pool.execute("SET default_transaction_isolation = 'serializable'")
    partitions = Partitions(pool, hand.worker_id, "127.0.0.1:1", "default")

    with pytest.raises(StoreUnavailableError, match="this session runs serializable"):
        await partitions.claim([0])

    assert list(await partitions.claim([0])) == [0]
    await pool.close()


async def test_a_database_of_foreign_defaults_is_migrated_and_taken_without_a_word(own_database: str) -> None:
    await make_foreign(own_database)

    await migrate(own_database)

    assert [line.split(" ")[0] for line in await preflight.check(own_database)] == ["fsync"]  # as tests have it
    pool = Pool(own_database, 2, 5.0)
    assert await pool.fetchval("SELECT count(*) FROM turns") == 0
    await pool.close()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("session_replication_role", "replica", r"session_replication_role is replica .*foreign keys and triggers"),
        ("track_activities", "off", r"track_activities is off .*a leader that has stopped is not seen: set it to on$"),
        ("default_transaction_read_only", "on", r"this database is read-only \(default_transaction_read_only is on"),
    ],
)
async def test_what_a_session_cannot_choose_is_refused_by_name(
    own_database: str, name: str, value: str, said: str
) -> None:
    await set_defaults(own_database, {name: value})

    with pytest.raises(SettingError, match=f"^STATE_DB_URI: {said}"):
        await preflight.check(own_database)


async def test_temporary_files_that_may_not_grow_are_warned_about(own_database: str) -> None:
    await set_defaults(own_database, {"temp_file_limit": "0"})

    assert [line.split(" ")[0] for line in await preflight.check(own_database)] == ["fsync", "temp_file_limit"]
