"""Each call takes effect once, whatever becomes of connections, backends and answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from argosy.errors import FlushRefusedError, FlushSlowError, OwnershipLostError, StoreUnavailableError
from argosy.store.numbered_stream import Answer, NumberedStream
from tests.harness.tcp_proxy import PostgresProxy
from tests.store.hand import CLAIM, FLUSH_SQL, LANE, LOG, PARTITION_COUNT, Hand, New, accept_arguments

ACCEPT = FLUSH_SQL["accept"]


class Accepting:
    """Stream 1 of a worker through a proxy, and the partition of its turns."""

    def __init__(self, stream: NumberedStream, hand: Hand) -> None:
        self.stream = stream
        self.hand = hand
        self.partition = New("a").partition
        self.position = 0
        self.sql: Any = hand.connections[2]

    async def accept(self, *turns: New) -> Answer:
        answer = await self.stream.call(ACCEPT, *self.arguments(*turns))
        self.position += len(turns)
        return answer

    async def accept_or_give_up(self, *turns: New, statement: str = ACCEPT) -> Answer:
        nothing = accept_arguments(LANE, LOG, [], self.hand.epochs, [], [], [])
        return await self.stream.call(statement, *self.arguments(*turns), void=nothing)

    def arguments(self, *turns: New) -> list[Any]:
        return accept_arguments(LANE, LOG, [self.partition], self.hand.epochs, [self.position], [len(turns)], turns)

    async def no(self) -> int:
        query = "SELECT no FROM flush_streams WHERE worker_id = $1 AND stream = 1"
        return int(await self.sql.fetchval(query, self.hand.worker_id))

    async def turn_count(self) -> int:
        return int(await self.sql.fetchval("SELECT count(*) FROM turns"))

    async def hold(self) -> Any:
        """Keep accepts of the partition from going on. End with rollback()."""
        connection = self.hand.connections[1]
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT pg_advisory_xact_lock(partition_lock_class($1), $2)", LANE, self.partition)
        return transaction

    async def backends(self) -> list[int]:
        rows = await self.sql.fetch(
            "SELECT pid FROM pg_stat_activity WHERE application_name = $1", f"argosy accept {self.hand.worker_id}"
        )
        return [row[0] for row in rows]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
async def accepting(store_dsn: str, proxy: PostgresProxy) -> AsyncIterator[Accepting]:
    hand = Hand(store_dsn)
    for number in (1, 2):
        hand.connections[number] = await asyncpg.connect(store_dsn, server_settings={"search_path": "argosy"})
    stream = NumberedStream(proxy.dsn, hand.worker_id, 1, timeout_s=1.0)
    await stream.open()
    rows = await hand.connections[2].fetch(CLAIM, hand.worker_id, "", LANE, list(range(PARTITION_COUNT)), None)
    hand.epochs = {row[0]: row[1] for row in rows}
    await hand.open_positions(LOG)
    yield Accepting(stream, hand)
    stream._drop()
    await hand.close()


async def waits_for_lock(accepting: Accepting) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = ANY ($1)"
    return bool(await accepting.sql.fetchval(query, await accepting.backends()))


async def test_calls_are_numbered_and_answered(accepting: Accepting) -> None:
    first = await accepting.accept(New("a"), New("a"))
    second = await accepting.accept(New("a"))

    assert first.held == [True]
    assert first.heads == [True, False]
    assert second.lineage == first.lineage
    assert await accepting.no() == 2


async def test_an_answer_cut_off_after_the_commit_is_asked_for_again(
    accepting: Accepting, proxy: PostgresProxy
) -> None:
    held = await accepting.hold()
    calling = asyncio.create_task(accepting.accept(New("a"), New("a")))
    await until(lambda: waits_for_lock(accepting))
    await proxy.refuse()
    await held.rollback()
    await until(lambda: is_no(accepting, 1))  # committed, and nobody heard of it
    await proxy.allow()

    async with asyncio.timeout(20):
        answer = await calling

    assert answer.heads == [True, False]
    assert await accepting.turn_count() == 2
    await accepting.accept(New("a"))
    assert await accepting.no() == 2


async def is_no(accepting: Accepting, no: int) -> bool:
    return await accepting.no() == no


async def test_an_answer_lost_in_a_silent_network_is_asked_for_again(
    accepting: Accepting, proxy: PostgresProxy
) -> None:
    held = await accepting.hold()
    calling = asyncio.create_task(accepting.accept(New("a"), New("a")))
    await until(lambda: waits_for_lock(accepting))
    proxy.hold()
    await held.rollback()
    await until(lambda: is_no(accepting, 1))
    await asyncio.sleep(1.2)  # longer than the timeout: the stream gives the connection up
    await proxy.allow()

    async with asyncio.timeout(20):
        answer = await calling

    assert answer.heads == [True, False]
    assert await accepting.turn_count() == 2


async def test_a_call_that_never_came_to_postgres_is_sent_again(accepting: Accepting, proxy: PostgresProxy) -> None:
    await proxy.refuse()
    calling = asyncio.create_task(accepting.accept(New("a")))
    await asyncio.sleep(0.3)
    await proxy.allow()

    async with asyncio.timeout(20):
        await calling

    assert await accepting.turn_count() == 1


async def test_a_call_whose_backend_is_ended_is_sent_again(accepting: Accepting) -> None:
    held = await accepting.hold()
    calling = asyncio.create_task(accepting.accept(New("a")))
    await until(lambda: waits_for_lock(accepting))
    old = await accepting.backends()
    await accepting.sql.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::integer[]) AS pid", old)
    await held.rollback()

    async with asyncio.timeout(20):
        await calling

    assert await accepting.turn_count() == 1
    assert await accepting.no() == 1


async def test_a_backend_that_still_works_for_a_lost_connection_is_ended(accepting: Accepting) -> None:
    """The first try hangs in a lock for longer than the timeout; the second does not wait for it."""
    held = await accepting.hold()
    calling = asyncio.create_task(accepting.accept(New("a")))
    await until(lambda: waits_for_lock(accepting))
    (old,) = await accepting.backends()

    async def is_replaced() -> bool:
        return old not in await accepting.backends()

    await until(is_replaced)
    await held.rollback()
    async with asyncio.timeout(20):
        await calling

    assert await accepting.turn_count() == 1


async def test_what_postgres_refuses_takes_no_number(accepting: Accepting) -> None:
    for bad in (New("a\0b"), New("a", priority=500), New("a", priority=70_000)):
        with pytest.raises(FlushRefusedError):
            await accepting.stream.call(ACCEPT, *accepting.arguments(New("a"), bad))

    await accepting.accept(New("a"))
    assert await accepting.turn_count() == 1
    assert await accepting.no() == 1


async def test_a_database_that_went_back_in_time_voids_everything(accepting: Accepting) -> None:
    await accepting.accept(New("a"))
    await accepting.sql.execute("UPDATE flush_streams SET no = 0")

    with pytest.raises(OwnershipLostError):
        await accepting.accept(New("a"))


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03", "53100", "53300", "57P01", "57014", "58030", "25006"])
async def test_trouble_of_the_server_is_no_fault_of_the_call(accepting: Accepting, sqlstate: str) -> None:
    """The first try fails with this error, and the very same call is sent again."""
    await accepting.sql.execute("CREATE SEQUENCE IF NOT EXISTS tries; SELECT setval('tries', 1, false)")
    await accepting.sql.execute(
        "CREATE OR REPLACE FUNCTION fail_once(p_worker uuid, p_no bigint, p_state text) RETURNS flush_answer AS $$"
        " BEGIN"
        "   IF nextval('tries') = 1 THEN RAISE EXCEPTION 'trouble' USING ERRCODE = p_state; END IF;"
        "   RETURN (p_no, now(), NULL, NULL, NULL, NULL)::flush_answer;"
        " END $$ LANGUAGE plpgsql"
    )
    statement = "SELECT lineage, at, held, applied, places, heads FROM fail_once($1, $2, $3)"

    answer = await accepting.stream.call(statement, sqlstate)

    assert answer.lineage == 1
    assert await accepting.sql.fetchval("SELECT last_value FROM tries") == 2


async def test_a_server_that_does_not_let_us_in_is_away(store_dsn: str) -> None:
    hand = await Hand(store_dsn).open()
    other = store_dsn.replace("/test_", "/no_such_", 1)

    with pytest.raises(StoreUnavailableError):
        await NumberedStream(other, hand.worker_id, 1, timeout_s=1.0).open()
    await hand.close()


async def test_one_call_at_a_time(accepting: Accepting) -> None:
    first = asyncio.create_task(accepting.accept(New("a")))
    await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="one call at a time"):
        await accepting.accept(New("a"))
    await first


async def test_what_postgres_does_not_get_done_with_is_made_void_before_less_is_sent(accepting: Accepting) -> None:
    held = await accepting.hold()  # both tries wait for the lock longer than timeout_s
    calling = asyncio.create_task(accepting.accept_or_give_up(New("a"), New("b")))
    await until(lambda: is_no(accepting, 1))  # the void one took the number; it asks for no lock

    with pytest.raises(FlushSlowError):
        await calling
    await held.rollback()

    assert await accepting.turn_count() == 0
    await accepting.accept(New("a"))
    assert await accepting.no() == 2
    assert await accepting.turn_count() == 1


async def test_a_call_that_took_effect_after_all_is_not_given_up(accepting: Accepting) -> None:
    await accepting.accept(New("a"), New("a"))
    accepting.stream._no = accepting.position = 0  # it is committed, and its answer was never heard
    is_slow_with_partitions = ACCEPT.replace("FROM accept(", "FROM pg_sleep(3 * cardinality($5::integer[])), accept(")

    answer = await accepting.accept_or_give_up(New("a"), New("a"), statement=is_slow_with_partitions)

    assert answer.heads == [True, False]
    assert await accepting.turn_count() == 2
    assert await accepting.no() == 1


@pytest.mark.parametrize("sqlstate", ["53200", "57014"])
async def test_what_postgres_has_no_memory_or_no_time_for_is_given_up_after_two_tries(
    accepting: Accepting, sqlstate: str
) -> None:
    await accepting.sql.execute(
        "CREATE OR REPLACE FUNCTION always_fail(p_worker uuid, p_no bigint, p_state text) RETURNS flush_answer AS $$"
        " BEGIN RAISE EXCEPTION 'too much' USING ERRCODE = p_state; END $$ LANGUAGE plpgsql"
    )
    statement = "SELECT lineage, at, held, applied, places, heads FROM always_fail($1, $2, $3)"

    with pytest.raises(FlushSlowError):
        await accepting.stream.call(statement, sqlstate, void=[sqlstate])
