"""A turn that ran when its owner died is taken up by the next one, whichever of its reads answers first.

Behind it waits a turn that is cancelled: that has its session read while the heads of the partition are.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from argosy import ids
from argosy.store.head import Head, Heads
from argosy.store.numbered_stream import NumberedStream
from argosy.store.partition import Partitions
from argosy.store.pool import Pool
from argosy.workers.dispatch.owned import Owned
from tests.dispatch.joined_parts import PartsOver, catalog
from tests.store.hand import LANE, PARTITION_COUNT, TENANT, Change, Hand, New

NIL = uuid.UUID(int=0)
SEND = (
    "INSERT INTO inbox (inbox_id, lane, bucket, tenant, session_id, turn_id, kind, name)"
    " VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7)"
)


class GatedHeads(Heads):
    """Each answer is kept back until its gate is open. asked: the names of the reads that Postgres has answered."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, LANE, input_size_bytes_max=1_000)
        self.asked: list[str] = []
        self.gates = {"heads": asyncio.Event(), "sessions": asyncio.Event()}

    async def load_heads(self, *arguments: Any) -> list[Head]:
        return await self._answer("heads", super().load_heads(*arguments))

    async def load_sessions(self, *arguments: Any) -> list[Head]:
        return await self._answer("sessions", super().load_sessions(*arguments))

    async def _answer(self, name: str, read: Awaitable[list[Head]]) -> list[Head]:
        rows = await read
        self.asked.append(name)
        await self.gates[name].wait()
        return rows


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 4, 30.0)
    yield pool
    await pool.close()


class NextOwner:
    """The parts of a worker that has claimed the partitions of one that died."""

    def __init__(self, dsn: str, pool: Pool, hand: Hand, code: Callable[[Any], Awaitable[None]] | None = None) -> None:
        self.heads = GatedHeads(pool)
        self.ran = 0
        self._code = code or self._runs
        self._dsn = dsn
        self._pool = pool
        self._hand = hand

    async def __aenter__(self) -> "NextOwner":
        worker_id = uuid.uuid4()
        claim = (await Partitions(self._pool, worker_id, "127.0.0.1:1", LANE).claim([0]))[0]
        self._stream = NumberedStream(self._dsn, worker_id, 2, timeout_s=5)
        await self._stream.open()
        self.parts = PartsOver(catalog(self._code, "echo"), self.heads, self._stream)
        self.owned = Owned(0, claim.epoch, ids.buckets_of(0, PARTITION_COUNT))
        self.owned.held_at_s = float("inf")
        self.owned.is_open = True
        self.parts.owned[0] = self.owned
        await self.parts.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.parts.__aexit__()
        await self._stream.close()

    async def _runs(self, context: Any) -> None:
        self.ran += 1

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 — what it waits for has no event
                await asyncio.sleep(0.005)

    async def until_status(self, turn: New, status: str) -> None:
        async with asyncio.timeout(5):
            while await self._hand.status(turn) != status:  # noqa: ASYNC110 — others write it
                await asyncio.sleep(0.01)


async def _running_and_queued(hand: Hand) -> tuple[New, New]:
    """Of a session of partition 0."""
    name = next(name for name in (f"s{number}" for number in range(100)) if New(name).partition == 0)
    running, queued = New(name, input=b"null"), New(name, input=b"null")
    await hand.accept(running, queued)
    await hand.flush(Change(running, ("queued", 0, 0), "running", 1, [("turn.started", "")]))
    return running, queued


async def hangs() -> None:
    await asyncio.Event().wait()


async def _send(hand: Hand, turn: New, kind: str, name: str = "") -> None:
    await hand.connections[2].execute(SEND, LANE, turn.bucket, TENANT, turn.session_id, turn.turn_id, kind, name)


@pytest.mark.parametrize(
    "order",
    [
        ("sessions asked", "heads answered", "sessions answered"),
        ("heads asked", "sessions asked", "heads answered", "sessions answered"),
        ("heads asked", "sessions asked", "sessions answered", "heads answered"),
        ("sessions asked", "sessions answered", "heads answered"),
    ],
    ids=", ".join,
)
async def test_a_turn_that_was_running_is_taken_up_though_its_session_is_read_beside_the_heads(
    store_dsn: str, hand: Hand, pool: Pool, order: Sequence[str]
) -> None:
    running, queued = await _running_and_queued(hand)
    await _send(hand, queued, "cancel")

    async with NextOwner(store_dsn, pool, hand) as owner:
        for each in order:
            if each == "heads asked":
                owner.parts.pager.claimed([owner.owned])
                await owner.until(lambda: "heads" in owner.heads.asked)
            elif each == "sessions asked":  # by the end of the cancelled one
                await owner.parts.inbox.look()
                await owner.until_status(queued, "cancelled")
                owner.parts.pager.nudge()
                await owner.until(lambda: "sessions" in owner.heads.asked)
            elif each == "heads answered":
                if "heads asked" not in order:
                    owner.parts.pager.claimed([owner.owned])
                owner.heads.gates["heads"].set()
                await owner.until(lambda: not owner.parts.pager.has_unread(owner.owned))
            else:
                owner.heads.gates["sessions"].set()

        await owner.until_status(running, "completed")

        events = await hand.rows("SELECT type FROM events WHERE turn_id = $1 ORDER BY seq", running.turn_id)
        assert [each for (each,) in events] == ["turn.started", "turn.reset", "turn.completed"]
        assert owner.ran == 1


async def test_a_turn_that_was_running_is_expired_before_its_head_is_read(
    store_dsn: str, hand: Hand, pool: Pool
) -> None:
    """Heads wait until sessions are ready to be run; a deadline waits for neither."""
    running, queued = await _running_and_queued(hand)
    await _send(hand, running, "timer", "deadline")

    async with NextOwner(store_dsn, pool, hand) as owner:
        await owner.parts.inbox.look()
        await owner.until_status(running, "expired")
        for gate in owner.heads.gates.values():
            gate.set()
        owner.parts.pager.claimed([owner.owned])
        await owner.until_status(queued, "completed")

        assert owner.ran == 1


@pytest.mark.parametrize("found", ["found before it is read", "found when it is read"])
async def test_a_turn_that_was_running_hears_its_cancel_when_its_head_is_read(
    store_dsn: str, hand: Hand, pool: Pool, found: str
) -> None:
    """Its code may clean up; then it ends, and what waits behind it goes on."""
    running, queued = await _running_and_queued(hand)
    heard = list[int]()

    async def runs_on_if_it_is_the_first(context: Any) -> None:
        if context.turn_id != running.turn_id:
            return
        try:
            await context.run(hangs)
        except asyncio.CancelledError:
            heard.append(context.attempt)
            raise

    async with NextOwner(store_dsn, pool, hand, runs_on_if_it_is_the_first) as owner:
        await _send(hand, running, "cancel")
        for gate in owner.heads.gates.values():
            gate.set()
        if found == "found before it is read":
            await owner.parts.inbox.look()
            assert await hand.status(running) == "running", "its code has not heard it"
        owner.parts.pager.claimed([owner.owned])
        await owner.until(lambda: running.turn_id in owner.parts.scheduler.live)
        await owner.parts.inbox.look()
        await owner.until_status(running, "cancelled")
        await owner.until(lambda: running.turn_id not in owner.parts.scheduler.live)
        owner.parts.pager.nudge()
        await owner.until_status(queued, "completed")

        events = await hand.rows("SELECT type FROM events WHERE turn_id = $1 ORDER BY seq", running.turn_id)
        assert [each for (each,) in events if each != "step.cancelled"] == [
            "turn.started",
            "turn.reset",
            "turn.cancelling",
            "turn.cancelled",
        ]
        assert heard == [2]


async def test_a_running_turn_of_a_partition_that_is_not_open_is_left_to_its_former_owner(
    store_dsn: str, hand: Hand, pool: Pool
) -> None:
    """What the former owner still runs is not known yet."""
    running, _ = await _running_and_queued(hand)

    async with NextOwner(store_dsn, pool, hand) as owner:
        owner.owned.is_open = False
        owner.parts.scheduler.more(running.session_id, running.bucket, owner.owned)
        owner.parts.pager.nudge()
        await owner.until(lambda: "sessions" in owner.heads.asked)
        owner.heads.gates["sessions"].set()
        await owner.until(lambda: running.session_id not in owner.parts.scheduler.sessions)

        assert running.turn_id not in owner.parts.scheduler.live


async def test_a_session_that_was_read_while_its_partition_opened_is_read_again(
    store_dsn: str, hand: Hand, pool: Pool
) -> None:
    """What was read may be older than the last word of the former owner."""
    running, _ = await _running_and_queued(hand)

    async with NextOwner(store_dsn, pool, hand) as owner:
        owner.owned.is_open = False
        owner.parts.scheduler.more(running.session_id, running.bucket, owner.owned)
        owner.parts.pager.nudge()
        await owner.until(lambda: "sessions" in owner.heads.asked)
        owner.owned.is_open = True
        owner.heads.gates["heads"].set()
        owner.parts.pager.claimed([owner.owned])
        await owner.until(lambda: not owner.parts.pager.has_unread(owner.owned))
        owner.heads.gates["sessions"].set()

        await owner.until_status(running, "completed")
        assert owner.heads.asked.count("sessions") >= 2


@pytest.mark.parametrize("status", ["running", "queued"])
async def test_a_turn_is_read_with_its_session_as_it_is_read_with_the_heads(
    hand: Hand, pool: Pool, status: str
) -> None:
    """When something of it was written last, too: of that hangs whether it may have killed the owner before."""
    heads = Heads(pool, LANE, input_size_bytes_max=1_000)
    turn, following = await _running_and_queued(hand)
    if status == "queued":
        await hand.flush(Change(turn, ("running", 1, 1), "completed", 1, [("turn.completed", "")]))
        turn = following

    (head,) = [each for each in await heads.load_heads(0, NIL, 1023, 10) if each.turn_id == turn.turn_id]
    session = await heads.load_sessions([(turn.bucket, turn.session_id)], 10)

    assert session[0] == head
