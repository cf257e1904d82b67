"""What is particular to the Postgres log: group commit, certainty, leases, index scans. On PostgreSQL 15 and 18."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.log import Entry, Outcome
from argosy.logs.postgres_reader import PostgresReader
from argosy.logs.postgres_writer import PostgresWriter
from argosy.logs.topic import turns_topic
from argosy.logs.word import Word
from tests.contract.conftest import until
from tests.harness.hand_clock import AheadClock
from tests.harness.logs import DROP_TOPIC, ensure_turns

# For what takes its time, and has nothing to do with how PostgreSQL plans or locks.
ON_15_IN_FAULTS = pytest.mark.parametrize(
    "any_database", [pytest.param("15", marks=pytest.mark.slow), "18"], ids=["postgres15", "postgres18"], indirect=True
)


@pytest.fixture
async def dsn(any_database: str, postgres_settings: Settings) -> str:
    await ensure_turns(postgres_settings, any_database)
    return any_database


@pytest.fixture
async def writer(dsn: str, postgres_settings: Settings) -> AsyncIterator[PostgresWriter]:
    writer = await PostgresWriter.open(postgres_settings, dsn, turns_topic(postgres_settings), SystemClock())
    yield writer
    await writer.close()


@pytest.fixture
async def observer(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    yield connection
    await connection.close()


async def count_sessions(observer: Any, application: str, condition: str = "true") -> int:
    await observer.execute("SELECT pg_stat_clear_snapshot()")  # in a transaction the first look would stand for all
    found: int = await observer.fetchval(
        f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'argosy log {application}' AND {condition}"  # noqa: S608
    )
    return found


async def wait_until_blocked(observer: Any) -> None:
    """The writer's call waits for a lock."""

    async def is_blocked() -> bool:
        return await count_sessions(observer, "writer", "wait_event_type = 'Lock'") == 1

    await until(is_blocked)


async def signal_backend(observer: Any, function: str, application: str) -> None:
    await observer.execute(
        f"SELECT {function}(pid) FROM pg_stat_activity WHERE application_name = 'argosy log {application}'"  # noqa: S608
    )


class Blocked:
    """Holds the rows of all partitions for as long as the block lasts."""

    def __init__(self, observer: Any) -> None:
        self._transaction = observer.transaction()
        self._observer = observer

    async def __aenter__(self) -> None:
        await self._transaction.start()
        await self._observer.execute("SELECT 1 FROM log_partitions FOR UPDATE")

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.rollback()


async def test_what_comes_while_one_call_is_under_way_goes_with_the_next(writer: PostgresWriter, observer: Any) -> None:
    async with Blocked(observer):
        appending = [asyncio.create_task(writer.append([Entry(0, b"", b"first")]))]
        await wait_until_blocked(observer)
        appending += [asyncio.create_task(writer.append([Entry(n % 4, b"", b"%d" % n)])) for n in range(100)]
        await asyncio.sleep(0.05)

    assert all(each.outcome is Outcome.APPENDED for one in await asyncio.gather(*appending) for each in one)
    times = await observer.fetch("SELECT DISTINCT xmin::text FROM log_records")
    assert len(times) == 2


async def test_a_backend_that_is_ended_in_the_middle_leaves_the_outcome_unknown(
    writer: PostgresWriter, observer: Any
) -> None:
    async with Blocked(observer):
        appending = asyncio.create_task(writer.append([Entry(0, b"", b"value")]))
        await wait_until_blocked(observer)
        await signal_backend(observer, "pg_terminate_backend", "writer")
        assert [each.outcome for each in await appending] == [Outcome.UNKNOWN]

    assert [each.outcome for each in await writer.append([Entry(0, b"", b"next")])] == [Outcome.APPENDED]


async def test_a_statement_that_postgres_cancels_is_certainly_not_appended(
    writer: PostgresWriter, observer: Any
) -> None:
    async with Blocked(observer):
        appending = asyncio.create_task(writer.append([Entry(0, b"", b"value")]))
        await wait_until_blocked(observer)
        await signal_backend(observer, "pg_cancel_backend", "writer")
        assert [each.outcome for each in await appending] == [Outcome.NOT_APPENDED]

    assert await observer.fetchval("SELECT count(*) FROM log_records") == 0


async def test_what_waited_too_long_behind_a_slow_call_is_certainly_not_appended_and_the_call_itself_is_unknown(
    dsn: str, postgres_settings: Settings, observer: Any
) -> None:
    clock = AheadClock()
    writer = await PostgresWriter.open(postgres_settings, dsn, turns_topic(postgres_settings), clock)
    async with Blocked(observer):
        sent = asyncio.create_task(writer.append([Entry(0, b"", b"sent")]))
        await wait_until_blocked(observer)
        behind = asyncio.create_task(writer.append([Entry(0, b"", b"behind")]))
        await asyncio.sleep(0)
        clock.ahead_s = 1.0

        assert [each.outcome for each in await sent] == [Outcome.UNKNOWN]
        assert [each.outcome for each in await behind] == [Outcome.NOT_APPENDED]

    assert await observer.fetchval("SELECT count(*) FROM log_records WHERE value = 'behind'") == 0
    await writer.close()


async def test_appends_of_many_writers_leave_no_gap_and_do_not_deadlock(
    dsn: str, postgres_settings: Settings, observer: Any
) -> None:
    writers = [
        await PostgresWriter.open(postgres_settings, dsn, turns_topic(postgres_settings), SystemClock())
        for _ in range(5)
    ]

    async def post(writer: PostgresWriter, number: int) -> None:
        for index in range(30):
            order = (0, 1, 2, 3) if number % 2 else (3, 2, 1, 0)
            appended = await writer.append([Entry(partition, b"", b"%d" % index) for partition in order])
            assert {each.outcome for each in appended} == {Outcome.APPENDED}

    await asyncio.gather(*(post(writer, number) for number, writer in enumerate(writers)))

    for partition in range(4):
        positions = await observer.fetch(
            "SELECT position FROM log_records WHERE partition = $1 ORDER BY position", partition
        )
        assert [row[0] for row in positions] == list(range(150))
    for each in writers:
        await each.close()


async def test_records_are_found_by_index_however_wrong_the_statistics_are(
    writer: PostgresWriter, observer: Any, dsn: str, postgres_settings: Settings
) -> None:
    await observer.execute("ALTER TABLE log_records SET (autovacuum_enabled = off)")
    await observer.execute("ANALYZE log_records")  # of an empty table
    for first in range(0, 20_000, 2_000):
        await writer.append([Entry(n % 4, b"", b"%d" % n) for n in range(first, first + 2_000)])

    async def scans() -> int:
        await observer.execute("SELECT pg_stat_force_next_flush()")
        await asyncio.sleep(1.1)  # other sessions report once in a second
        return int(await observer.fetchval("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'log_records'"))

    before = await scans()
    seen = 0

    def on_batch(batch: Any) -> None:
        nonlocal seen
        seen += len(batch.records)

    reader = PostgresReader(postgres_settings, dsn, turns_topic(postgres_settings), SystemClock())
    await reader.open(on_batch, start_each(reader, 4_000))
    await until(lambda: seen == 4_000)
    await reader.close()

    assert await scans() == before


def start_each(reader: PostgresReader, position: int) -> Callable[[frozenset[int]], None]:
    """What reads each partition that the reader becomes eligible for from this position on, as reading 1."""

    def on_eligible(partitions: frozenset[int]) -> None:
        for each in partitions:
            reader.start(each, position, 1)

    return on_eligible


async def open_member(dsn: str, settings: Settings) -> tuple[PostgresReader, list[frozenset[int]]]:
    """A reader that has joined, and what it has been eligible for so far."""
    changes: list[frozenset[int]] = []
    reader = PostgresReader(settings, dsn, turns_topic(settings), SystemClock())
    await reader.open(lambda batch: None, changes.append)
    await until(lambda: bool(changes))
    return reader, changes


async def test_a_member_that_is_not_heard_of_loses_its_partitions_after_the_time_it_was_given(
    dsn: str, postgres_settings: Settings, observer: Any
) -> None:
    """A process that is stopped keeps its session, and with it the lock."""
    settings = postgres_settings.model_copy(update={"log_lease_ttl_s": 1.5})
    stopped, _ = await open_member(dsn, settings)
    loop = stopped._member._loop
    assert loop is not None
    goes_on = threading.Event()
    loop.call_soon_threadsafe(goes_on.wait, 20.0)  # as SIGSTOP would: nothing is said, and nothing is closed

    others: list[frozenset[int]] = []
    other = PostgresReader(settings, dsn, turns_topic(settings), SystemClock())
    await other.open(lambda batch: None, others.append)
    await until(lambda: frozenset(range(4)) in others, within_s=5)

    goes_on.set()
    await other.close()
    await stopped.close()


async def test_an_answer_to_what_was_asked_before_a_stop_is_an_old_word(
    dsn: str, postgres_settings: Settings, observer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = AheadClock()
    reader = PostgresReader(postgres_settings, dsn, turns_topic(postgres_settings), clock)
    await reader.open(lambda batch: None, lambda partitions: None)
    await until(reader.has_joined)
    was_old_after: list[bool] = []
    renew = Word.renew

    def listen(word: Word, at_s: float) -> None:
        renew(word, at_s)
        was_old_after.append(reader.is_word_old())

    monkeypatch.setattr(Word, "renew", listen)

    async def is_asked() -> bool:
        return await count_sessions(observer, "member", "wait_event_type = 'Lock'") == 1

    async with observer.transaction():  # a round of another member's
        await observer.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('argosy.log/' || topic_id, 0)) FROM log_topics"
        )
        await until(is_asked)
        was_old_after.clear()
        clock.ahead_s += 60.0
    await until(lambda: len(was_old_after) >= 2)

    assert was_old_after[:2] == [True, False]
    await reader.close()


async def test_a_reader_whose_session_is_ended_comes_back_as_the_same_member(
    dsn: str, postgres_settings: Settings, observer: Any
) -> None:
    reader, changes = await open_member(dsn, postgres_settings)

    await signal_backend(observer, "pg_terminate_backend", "member")

    async def is_back() -> bool:
        return await count_sessions(observer, "member", "state = 'idle'") == 1

    await until(is_back)
    await asyncio.sleep(1.2)  # a round

    assert changes == [frozenset(range(4))] * 2, "given, and confirmed"
    await reader.close()


async def test_what_was_said_to_a_session_that_was_ended_is_old_until_the_member_is_back(
    dsn: str, postgres_settings: Settings, observer: Any
) -> None:
    """The lock of a session that is gone is free: others take its partitions at once, not when the lease is over."""
    reader, changes = await open_member(dsn, postgres_settings)
    async with observer.transaction():  # a round of another member's: ours cannot come back
        await observer.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('argosy.log/' || topic_id, 0)) FROM log_topics"
        )
        assert not reader.is_word_old()
        await signal_backend(observer, "pg_terminate_backend", "member")
        await until(reader.is_word_old, within_s=3.0)

    await until(lambda: not reader.is_word_old())
    assert changes == [frozenset(range(4))] * 2, "its word is confirmed"
    await reader.close()


@ON_15_IN_FAULTS
async def test_an_idle_reader_asks_little(dsn: str, postgres_settings: Settings, observer: Any) -> None:
    reader = PostgresReader(postgres_settings, dsn, turns_topic(postgres_settings), SystemClock())
    await reader.open(lambda batch: None, start_each(reader, 0))
    await asyncio.sleep(0.5)

    before = await observer.fetchval("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    await asyncio.sleep(3)
    after = await observer.fetchval("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")

    assert (after - before) / 3 < 20
    await reader.close()


async def test_the_partitions_of_a_topic_made_again_go_away_and_come_back(
    dsn: str, postgres_settings: Settings, observer: Any
) -> None:
    """Their owner must see that what it held was the old topic's."""
    reader, changes = await open_member(dsn, postgres_settings)

    await observer.execute(DROP_TOPIC, postgres_settings.topic)
    await ensure_turns(postgres_settings, dsn)

    await until(lambda: changes == [frozenset(range(4)), frozenset(), frozenset(range(4))])
    await reader.close()
