"""REBALANCE_RATE_BYTES_S: what is copied in a time, by all moves together, on a clock that the test has."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from argosy.config import Settings
from argosy.graph.copies import CopyPart, Received
from argosy.graph.members import Members
from argosy.graph.ops import UpsertNode
from argosy.store.graph import GraphRow
from argosy.store.move import MoveState
from argosy.workers.maintenance.copying import Bucket, Gate, Pipe
from argosy.workers.maintenance.rebalance import Rebalance
from tests.harness.hand_clock import HandClock
from tests.maintenance.term import term_of
from tests.moves.conftest import Fleet
from tests.shards.engines import new_ref

RATE_BYTES_S = 1_048_576  # the least that may be set
BURST_S = 0.25  # what may come at once after a pause, in seconds of the rate
TOLERANCE = 0.02
PART_SIZE_BYTES = 65_536
PARTS = 160  # ten seconds of the rate
PIPES = 3


class SharedClock(HandClock):
    """One of which several may sleep at once: it goes to where the last of them wakes up."""

    async def sleep(self, delay_s: float) -> None:
        until_s = self.now_s + delay_s
        await asyncio.sleep(0)
        self.now_s = max(self.now_s, until_s)


class Throttled(Gate):
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def admit(self, part: CopyPart) -> bool:
        await self._bucket.take(len(part.data))
        return True


class Source:
    async def copy(self, *_: object, **__: object) -> AsyncGenerator[CopyPart, None]:
        size_bytes, digest = PARTS * PART_SIZE_BYTES, hashlib.sha256()
        for number in range(PARTS):
            data = bytes(PART_SIZE_BYTES)
            digest.update(data)
            sha256 = digest.digest() if number == PARTS - 1 else b""
            yield CopyPart(number * PART_SIZE_BYTES, data, size_bytes, sha256)


class Target:
    """Counts the bytes that come, by when they do."""

    def __init__(self, clock: SharedClock, came: list[tuple[float, int]]) -> None:
        self._clock = clock
        self._came = came

    async def receive(self, _: object, __: object, parts: AsyncIterator[CopyPart], **___: object) -> Received:
        async for part in parts:
            self._came.append((self._clock.now_s, len(part.data)))
        return Received(PARTS * PART_SIZE_BYTES, 0, is_whole=True, is_landed=False)


def assert_rate_held(came: list[tuple[float, int]], began_s: float) -> None:
    """In no stretch of time from any part on came more than the rate and its burst; nor did it take longer than that
    needs.
    """
    in_hand = PIPES * 2 * PART_SIZE_BYTES  # each pipe has read one part ahead, and hands one on
    for first, (from_s, _) in enumerate(came[::8]):
        size_bytes = 0
        for at_s, part_size_bytes in came[first * 8 :]:
            size_bytes += part_size_bytes
            may = RATE_BYTES_S * (at_s - from_s + BURST_S) * (1 + TOLERANCE) + in_hand
            assert size_bytes <= may, f"{size_bytes} bytes in {at_s - from_s:.3f} s"
    total_bytes = sum(size_bytes for _, size_bytes in came)
    assert came[-1][0] - began_s == pytest.approx(total_bytes / RATE_BYTES_S - BURST_S, rel=TOLERANCE)


async def test_pipes_together_let_through_what_is_set_and_no_more() -> None:
    clock, came = SharedClock(), list[tuple[float, int]]()
    bucket = Bucket(RATE_BYTES_S, clock)
    pipes = [Pipe(new_ref(), uuid.uuid4(), Source(), Target(clock, came)) for _ in range(PIPES)]  # type: ignore[arg-type]
    began_s = clock.now_s

    await asyncio.gather(*(pipe.send_base(Throttled(bucket)) for pipe in pipes))

    assert len(came) == PIPES * PARTS
    assert_rate_held(came, began_s)


async def test_a_pause_is_not_made_up_for() -> None:
    """What was not copied for an hour may not come at once."""
    clock = SharedClock()
    bucket = Bucket(RATE_BYTES_S, clock)
    await bucket.take(RATE_BYTES_S)
    clock.now_s += 3_600
    began_s = clock.now_s

    for _ in range(20):
        await bucket.take(RATE_BYTES_S // 10)

    assert clock.now_s - began_s == pytest.approx(2 - BURST_S, rel=TOLERANCE)


async def test_moves_together_take_as_long_as_the_setting_says(fleet: Fleet, move_settings: Settings) -> None:
    settings = move_settings.model_copy(update={"rebalance_rate_bytes_s": RATE_BYTES_S})
    clock = SharedClock()
    rows = [await large_graph(fleet, number) for number in range(2)]
    for row in rows:
        await fleet.ask_move(row, "three")
    members = Members(fleet.directory, fleet.shards, settings, clock)
    role = Rebalance(settings, fleet.pool, fleet.directory, members, clock, share_s=1.0)
    term = await term_of(fleet.dsn, role.name)
    began_s = clock.now_s

    async with asyncio.timeout(60):
        while any(each.ended_at is None for each in await fleet.moves()):
            await role.tick(term)
    await role.close()
    await members.close()

    moves = await fleet.moves()
    assert {each.state for each in moves} == {MoveState.DONE}
    size_bytes = sum(each.size_bytes for each in moves)
    assert size_bytes > RATE_BYTES_S, "else this shows little"
    assert clock.now_s - began_s == pytest.approx(size_bytes / RATE_BYTES_S - BURST_S, rel=0.05)


async def large_graph(fleet: Fleet, number: int) -> GraphRow:
    """One of most of a second of the rate, not on the shard to which it is to go."""
    row = await fleet.graph_on(("one", "two")[number], "ada")
    graph = (await fleet.gateway()).of("acme", row.graph)
    await graph.apply([UpsertNode(id=f"{each:05}" + "x" * 400, label="Any") for each in range(1_500)])
    return row
