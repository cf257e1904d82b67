"""Postgres's own log keeps nothing of what was erased, however late a gateway appends it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from argosy.erasure import ErasureKind, Stage
from argosy.ids import TurnIdMint
from argosy.ingest.record import LinesRecord
from argosy.ingest.record import encode as encode_lines
from argosy.record import TurnRequested, encode
from argosy.store import log as log_store
from argosy.store.ingest import Jobs
from argosy.store.pool import connect
from tests.maintenance.forgetful import IDENTITY, MARKER, Forgetful, filled
from tests.store.hand import LANE, TENANT, New
from tests.store.job_hand import Job

TOPIC: Final = "turns.default"
TRACE: Final = b"trace"
WAITS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0 AND query ~ 'erase_log'"
)


@pytest.fixture
async def gateway(forgetful: Forgetful) -> AsyncIterator[Any]:
    """A connection that appends, to a topic of two partitions."""
    await forgetful.hand.rows("SELECT log_make_topic($1, 2)", TOPIC)
    connection = await connect(forgetful.dsn, application="late gateway")
    yield connection
    await connection.close()


def record_of(turn: New) -> bytes:
    return encode(TurnRequested(turn.turn_id.bytes, TENANT, LANE, turn.session, "echo", turn.input))


async def append(connection: Any, *values: bytes) -> None:
    """To both partitions in turns."""
    where = [number % 2 for number in range(len(values))]
    keys = [b"key"] * len(values)
    await log_store.append(connection, TOPIC, where, keys, list(values), [TRACE] * len(values), 30.0)


async def in_log(forgetful: Forgetful) -> list[tuple[bytes, bytes | None]]:
    rows = await forgetful.hand.rows("SELECT value, headers FROM log_records ORDER BY partition, position")
    return [(each[0], each[1]) for each in rows]


async def test_what_comes_late_comes_empty_and_has_its_position(forgetful: Forgetful, gateway: Any) -> None:
    turns, other = await filled(forgetful), New("other", input=b'"kept"')
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()
    assert (await forgetful.tick(erasure)).stage is Stage.DONE

    await append(gateway, record_of(turns[0]), record_of(turns[1]), record_of(other))

    kept = (record_of(other), TRACE)
    assert await in_log(forgetful) == [(b"", None), kept, (b"", None)]
    ends = await forgetful.hand.rows("SELECT next_position FROM log_partitions ORDER BY partition")
    assert [each[0] for each in ends] == [2, 1]


async def test_lines_of_an_upload_that_was_erased_come_empty(forgetful: Forgetful, gateway: Any) -> None:
    jobs, gone, kept = Jobs(forgetful.pool), Job(MARKER), Job("other")
    for job in (gone, kept):
        await jobs.begin(job.new, IDENTITY.log_id)
    erasure = await forgetful.ask(ErasureKind.GRAPH, MARKER)
    assert (await forgetful.tick(erasure, ticks=2)).stage is Stage.DONE
    of_gone, of_kept = (lines_of(job) for job in (gone, kept))

    await append(gateway, of_gone, of_kept)

    assert await in_log(forgetful) == [(b"", None), (of_kept, TRACE)]


def lines_of(job: Job) -> bytes:
    new = job.new
    lines = b'{"op": "upsert_node", "id": "%s", "label": "X"}' % MARKER.encode()
    return encode_lines(
        LinesRecord(job.job_id.bytes, new.tenant, new.graph, new.incarnation.bytes, 0, 1, 1, bytes(16), lines)
    )


async def looked_up(gateway: Any, *values: bytes) -> int:
    """How often an append looks for turns, of one record or several."""
    scans = "SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_xact_user_tables WHERE relname = 'turns'"
    async with gateway.transaction():
        before = await gateway.fetchval(scans)
        await append(gateway, *values)
        return int(await gateway.fetchval(scans) - before)


def minted(at_ms: int) -> bytes:
    return record_of(New("other", turn_id=TurnIdMint(TENANT, LANE).mint(7, at_ms)))


async def test_turns_that_were_minted_long_after_the_last_erasure_are_not_looked_up(
    forgetful: Forgetful, gateway: Any
) -> None:
    [[now_ms]] = await forgetful.hand.rows("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    hour_ms = 3_600_000
    turns = await filled(forgetful)
    never = await looked_up(gateway, minted(now_ms))
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    while_open = await looked_up(gateway, minted(now_ms))
    await forgetful.is_read()
    assert (await forgetful.tick(erasure)).stage is Stage.DONE
    soon_after = await looked_up(gateway, minted(now_ms))
    await forgetful.hand.rows("UPDATE erasures SET ended_at = now() - interval '2 hours' RETURNING 1")

    later = {
        after_ms: await looked_up(gateway, minted(now_ms + after_ms)) for after_ms in (0, -2 * hour_ms, 2 * hour_ms)
    }
    assert (never, while_open, soon_after, later) == (0, 1, 1, {0: 0, -2 * hour_ms: 1, 2 * hour_ms: 1})
    assert await looked_up(gateway, record_of(turns[0])) == 1
    assert await looked_up(gateway, lines_of(Job())) == 0  # of a job, which is no turn
    assert (b"", None) in await in_log(forgetful)


async def test_an_erased_turn_whose_gateway_had_another_time_comes_empty(forgetful: Forgetful, gateway: Any) -> None:
    """Its clock was ahead by less than an hour."""
    [[now_ms]] = await forgetful.hand.rows("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    turn = New(MARKER, turn_id=TurnIdMint(TENANT, LANE).mint(7, now_ms + 3_000_000), input=MARKER.encode())
    await forgetful.accepted(turn)
    await forgetful.end(turn)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()
    assert (await forgetful.tick(erasure)).stage is Stage.DONE

    await append(gateway, record_of(turn))

    assert await in_log(forgetful) == [(b"", None)]


@pytest.mark.parametrize(
    "value", [b"", b"\x01", bytes(31), b"\x01\x9d\xbf" + bytes(29), b"\x01\xdc\x00\x10\xbf" + bytes(40)]
)
async def test_what_is_no_record_of_ours_is_appended_as_it_is(forgetful: Forgetful, gateway: Any, value: bytes) -> None:
    await forgetful.ask(ErasureKind.SESSION, MARKER)

    await append(gateway, value)

    assert [each[0] for each in await in_log(forgetful)] == [value]


async def test_the_last_look_waits_for_an_append_that_is_under_way(forgetful: Forgetful, gateway: Any) -> None:
    turns = await filled(forgetful)
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()
    under_way = gateway.transaction()
    await under_way.start()
    await append(gateway, *(record_of(turn) for turn in turns))  # before anything of it was erased, and not committed

    ticking = asyncio.create_task(forgetful.tick(erasure))
    async with asyncio.timeout(30):
        while not (await forgetful.hand.rows(WAITS))[0][0]:
            assert not ticking.done(), ticking.result().stage
            await asyncio.sleep(0.01)
    await under_way.commit()

    assert (await ticking).stage is Stage.DONE
    assert await in_log(forgetful) == [(b"", None)] * 5
    assert (await forgetful.receipt(erasure))["postgres log", "records"] == 5


async def test_gateways_that_append_all_the_while_leave_nothing_of_it(forgetful: Forgetful, gateway: Any) -> None:
    """Four gateways append over and over what is erased meanwhile, and what is not, in calls of their own."""
    turns, others = await filled(forgetful), [New("other", input=b'"kept"') for _ in range(3)]
    erasure = await forgetful.ask(ErasureKind.SESSION, MARKER)
    await forgetful.is_read()
    is_over, appended = asyncio.Event(), 0

    async def appends(connection: Any) -> None:
        nonlocal appended
        while not is_over.is_set():
            await append(connection, *(record_of(turn) for pair in zip(turns, others, strict=False) for turn in pair))
            appended += 3

    gateways = [gateway, *[await connect(forgetful.dsn, application=f"gateway {number}") for number in range(3)]]
    appending = [asyncio.create_task(appends(each)) for each in gateways]
    try:
        async with asyncio.timeout(60):
            while not appended:  # noqa: ASYNC110 (tasks that go on)
                await asyncio.sleep(0.01)
            while (await forgetful.tick(erasure)).stage is not Stage.DONE:
                pass
            since = appended
            while appended < since + 60:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        is_over.set()
        await asyncio.gather(*appending)
        await asyncio.gather(*(each.close() for each in gateways[1:]))

    values = [value for value, _ in await in_log(forgetful)]
    assert sum(1 for value in values if not value) == appended
    assert sum(1 for value in values if value in {record_of(other) for other in others}) == appended
    assert len(values) == 2 * appended
    assert await forgetful.where() == []
