"""Somebody holds an old snapshot (a dump, a forgotten transaction), and dead versions stay: what accepts, flushes and
appends read does not grow with how many of them there were.
"""

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from argosy.store import log as log_store
from argosy.store.pool import connect
from argosy.store.queries import load_queries
from tests.harness.logs import DROP_TOPIC
from tests.store.conftest import BOTH_IN_FAULTS
from tests.store.hand import FLUSH_SQL, LANE, LOG, Change, Hand, New, accept_arguments, flush_arguments

CALLS = 600
# Of pages: what a call reads may vary by the heights of trees and by how full a page is.
SPREAD = 25
# Single calls read more: one splits a page, or plans anew after autovacuum came by. What grows, grows for all.
SAMPLES = 10
TOPIC = "t"


@pytest.fixture
async def old_snapshot(store_dsn: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(store_dsn)
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await connection.fetchval("SELECT count(*) FROM pg_class")
    yield
    await connection.close()


async def pages(connection: Any, statement: str, *arguments: Any) -> int:
    """How many the call read, of tables and indexes; it takes effect."""
    explained = await connection.fetchval("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, *arguments)
    plan = json.loads(explained)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


class Measured:
    """One worker with one partition, and one topic with one partition."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.first, self.second = hand.connections[1], hand.connections[2]
        self.position = 0
        self.partition = 0
        # Another session each: what a session's own ended turns cost is another matter.
        self.turns = (
            each for each in map(New, map("s{}".format, itertools.count())) if each.partition == self.partition
        )

    async def calls(self) -> dict[str, int]:
        """The pages that an accept, two flushes (which write a timer, and take it back) and an append read."""
        turn, timer, partition = next(self.turns), uuid.uuid4(), self.partition
        accepting = accept_arguments(LANE, LOG, [partition], self.hand.epochs, [self.position], [1], [turn])
        starts = Change(
            turn, ("queued", 0, 0), "suspended", events=[("turn.started", "")], rows=[(timer, "timer", "", 9)]
        )
        ends = Change(
            turn, ("suspended", 1, 1), "completed", events=[("turn.completed", "")], moves=[(timer, "deleted")]
        )
        self.position += 1
        return {
            "accept": await self._numbered(1, accepting),
            "start": await self._numbered(2, flush_arguments(LANE, self.hand.epochs, [starts])),
            "end": await self._numbered(2, flush_arguments(LANE, self.hand.epochs, [ends])),
            "append": await pages(self.first, load_queries("log")["append"], TOPIC, [0], [b"k"], [b"v"], [None]),
            "spans": await pages(self.first, load_queries("log")["list_spans"], TOPIC, [0]),
            "positions": await pages(self.first, load_queries("partition")["list_positions"], LOG, [partition]),
            "trimmed": await pages(self.first, "SELECT gone_from_log($1, $2)", LANE, partition),
        }

    async def least(self, samples: int) -> dict[str, int]:
        """As `calls`, of so many of them the least of each."""
        found = [await self.calls() for _ in range(samples)]
        return {name: min(each[name] for each in found[-SAMPLES:]) for name in found[0]}

    async def _numbered(self, stream: int, arguments: list[Any]) -> int:
        self.hand.nos[stream] += 1
        statement = FLUSH_SQL["accept" if stream == 1 else "flush"]
        connection = self.hand.connections[stream]
        return await pages(connection, statement, self.hand.worker_id, self.hand.nos[stream], *arguments)


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.usefixtures("old_snapshot")
async def test_calls_read_as_little_after_many_as_after_few_while_no_dead_version_may_go(hand: Hand) -> None:
    await hand.rows(
        "INSERT INTO lane_logs (lane, cluster_id, topic_id, topic, partition_count) VALUES ($1, 'log', '1', 't', 4)"
        " ON CONFLICT DO NOTHING RETURNING 1",
        LANE,
    )
    await log_store.make_topic(hand.connections[1], TOPIC, 1)
    measured = Measured(hand)
    early = await measured.least(20)
    await hand.connections[1].execute(
        "ANALYZE turns, events, sessions, inbox, flush_streams, positions, log_partitions"
    )
    for _ in range(CALLS - SAMPLES):
        await measured.calls()
    late = await measured.least(SAMPLES)

    assert {name: late[name] - early[name] for name in late if late[name] - early[name] > SPREAD} == {}
    assert await hand.position(measured.partition) == CALLS + 20
    await hand.connections[1].execute(DROP_TOPIC, TOPIC)


async def test_a_partition_has_one_position_however_many_open_it_at_once(store_dsn: str, hand: Hand) -> None:
    connections = [await connect(store_dsn) for _ in range(6)]
    statement = load_queries("partition")["open_positions"]
    for round_no in range(20):
        log = f"log {round_no}"

        await asyncio.gather(
            *(
                each.execute(statement, log, LANE, list(range(8))[:: 1 if n % 2 else -1], [n] * 8)
                for n, each in enumerate(connections)
            )
        )

        rows = await hand.rows("SELECT partition, count(*) FROM positions WHERE log_id = $1 GROUP BY 1", log)
        assert sorted(rows) == [(partition, 1) for partition in range(8)]
    for each in connections:
        await each.close()


async def test_a_position_that_has_moved_is_not_opened_again(hand: Hand) -> None:
    turn = New("a")
    await hand.accept(turn)

    await hand.open_positions(LOG)

    assert await hand.rows("SELECT position FROM positions WHERE partition = $1", turn.partition) == [(1,)]


async def test_a_late_call_under_an_old_number_is_refused(hand: Hand) -> None:
    turns = [New("a") for _ in range(3)]
    for each in turns:
        await hand.accept(each)

    with pytest.raises(asyncpg.PostgresError, match="does not follow 3"):
        await hand.send(1, 1, hand.last[1])


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT partition, position FROM positions WHERE log_id = $1 AND partition = ANY ($2::integer[])", [(2, 3)]),
        (
            "INSERT INTO positions (log_id, partition, lane, position) SELECT $1, u, 'default', 0"
            " FROM unnest($2::integer[]) AS u ON CONFLICT DO NOTHING RETURNING partition",
            [],
        ),
    ],
    ids=["list_positions", "open_positions"],
)
async def test_what_processes_of_the_version_before_ask_is_answered_as_before(
    hand: Hand, statement: str, found: list[Any]
) -> None:
    turns = [each for each in (New(f"s{n}") for n in range(100)) if each.partition == 2][:3]
    for each in turns:
        await hand.accept(each)

    assert await hand.rows(statement, LOG, [2]) == found
