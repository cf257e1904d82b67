"""Each kind of error, thrown at each loop of a worker: the loop goes on, and others are served."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from argosy import Context, step
from argosy.clock import SystemClock
from argosy.config import load
from argosy.errors import OwnershipLostError
from argosy.log import Batch, Record
from argosy.store.head import DueRow, Head, LoadedTurn
from argosy.store.numbered_stream import Answer
from argosy.turn.status import Status
from argosy.workers.dispatch.accept.intake import Intake
from argosy.workers.dispatch.execution import turn_change
from argosy.workers.dispatch.inbox.delivery import Delivery
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.tasks import Background
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.claims import claims_of
from tests.dispatch.failing import EACH_KIND, KINDS, Fails, Reader, Soon, returns, running
from tests.dispatch.failing import said as said
from tests.dispatch.joined_parts import (
    SUSPENDED,
    Parts,
    Stream,
    arguments_of,
    catalog,
    due_row,
    is_over,
    loaded,
    make_turn,
    until,
)
from tests.dispatch.said import Said


@EACH_KIND
async def test_sessions_are_read_although_one_cannot_be(error: Exception) -> None:
    async with Parts(catalog(returns), Soon()) as parts:
        bad, good = make_turn(parts.owned[0], "boom"), loaded(uuid.uuid4(), workflow="boom")
        fails = Fails(error, lambda sessions: [head_of(good)] if good.session_id in sessions else [])

        async def load_sessions(sessions: Sequence[tuple[int, uuid.UUID]], limit: int) -> list[Head]:
            asked = [session_id for _, session_id in sessions]
            heads: list[Head] = fails(asked) if bad.session_id in asked else fails.answer(asked)
            return heads

        parts.heads.load_sessions = load_sessions
        for session_id in (bad.session_id, good.session_id):
            parts.scheduler.more(session_id, 0, parts.owned[0])
        async with running(parts.pager.run()):
            parts.pager.nudge()

            await until(
                lambda: (
                    parts.admission.running == 0
                    and any(good.turn_id in arguments_of(call)["u_turn"] for call in parts.stream.calls)
                )
            )


def head_of(turn: LoadedTurn) -> Head:
    head = due_row(turn, uuid.uuid4(), "signal").head
    assert isinstance(head, Head)
    return head._replace(input=b"null", has_rows=False)


@EACH_KIND
async def test_heads_are_read_after_reads_that_failed(error: Exception) -> None:
    async with Parts(catalog(returns), Soon()) as parts:
        head = head_of(loaded(uuid.uuid4(), workflow="boom"))
        fails = Fails(error, [head])
        parts.heads.load_heads = fails.asynchronously
        async with running(parts.pager.run()):
            parts.pager.claimed([parts.owned[0]])

            await until(lambda: any(head.turn_id in arguments_of(call)["u_turn"] for call in parts.stream.calls))


@EACH_KIND
async def test_the_inbox_is_read_after_reads_that_failed(error: Exception) -> None:
    async with Parts(catalog(returns), Soon()) as parts:
        due = parts.heads.due_inbox
        parts.heads.due_inbox = Fails(error, due, times=2)
        turn = loaded(uuid.uuid4(), **SUSPENDED | {"workflow": "boom", "status": "parked"})
        parts.heads.due = [due_row(turn, uuid.uuid4(), "cancel")]
        async with running(parts.inbox.run()):
            await until(lambda: any(turn.turn_id in arguments_of(call)["u_turn"] for call in parts.stream.calls))


@pytest.mark.parametrize("error", [*KINDS, OwnershipLostError("the turn's")], ids=lambda error: type(error).__name__)
async def test_a_row_that_cannot_be_taken_keeps_no_other_from_its_turn(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Parts(catalog(returns), Soon(), inbox_interval_s=0.01) as parts:
        bad, good = (loaded(uuid.uuid4(), **SUSPENDED | {"workflow": "boom", "status": "parked"}) for _ in range(2))
        parts.heads.due = [due_row(turn, uuid.uuid4(), "cancel") for turn in (bad, good)]
        take, tries = Delivery.take, []

        def take_or_fail(delivery: Delivery, row: DueRow, owned: Owned) -> None:
            if row.turn_id == bad.turn_id:
                tries.append(row)
                raise error
            take(delivery, row, owned)

        monkeypatch.setattr(Delivery, "take", take_or_fail)
        async with running(parts.inbox.run()):
            await until(lambda: any(good.turn_id in arguments_of(call)["u_turn"] for call in parts.stream.calls))
            await until(lambda: len(tries) == 5)
            await asyncio.sleep(0.1)
            assert len(tries) == 5, "tried for ever"


@EACH_KIND
async def test_signals_are_read_ahead_after_reads_that_failed(error: Exception) -> None:
    async with Parts(catalog(returns), Soon()) as parts:
        fails = Fails(error, [], times=2)
        parts.heads.await_signals, parts.heads.load_suspended = fails.asynchronously, fails.asynchronously
        async with running(parts.ahead.run()):
            for _ in range(100):
                parts.ahead.poke([("a", uuid.uuid4())])
                await asyncio.sleep(0.01)
                if fails.calls > 3:
                    break
            assert fails.calls > 3


@EACH_KIND
async def test_a_task_in_the_background_that_fails_ends_nothing(error: Exception) -> None:
    async def fails() -> None:
        raise error

    background = Background(SystemClock())
    async with running(background.run()) as (task,):
        background.spawn(fails())
        await background.until_idle()
        await asyncio.sleep(0)
        assert not task.done()


@EACH_KIND
async def test_a_listener_that_fails_keeps_no_turn_from_its_end(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Parts(catalog(returns), Soon()) as parts:
        fails = Fails(error, None, times=10**6)
        monkeypatch.setattr(parts.hub, "written", fails)
        turn = make_turn(parts.owned[0], "boom")
        parts.look_on(turn)
        parts.scheduler.accepted(turn, True, Read())
        parts.executor.fill()

        await until(lambda: is_over(turn) and parts.admission.running == 0)
        assert fails.calls


@EACH_KIND
async def test_a_turn_that_cannot_begin_is_parked_and_the_next_one_runs(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Parts(catalog(returns), Soon()) as parts:
        bad, good = (make_turn(parts.owned[0], "boom", place=place) for place in (1, 2))
        parts.look_on(good)

        def is_followed(turn: Turn) -> bool:
            if turn is bad:
                raise error
            return False

        monkeypatch.setattr(parts.frame_publisher, "is_followed", is_followed)
        for turn in (bad, good):
            parts.scheduler.accepted(turn, True, Read())
        parts.executor.fill()

        await until(lambda: is_over(good) and bad.status is Status.PARKED and parts.admission.running == 0)


async def test_a_turn_whose_run_a_bug_broke_off_begins_again_and_that_is_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What Postgres has of it is right: it is running there, and in nobody's memory."""
    bugs = [KeyError("bug"), KeyError("bug")]  # what begins again is broken off once more
    end, gate = turn_change.end, asyncio.Event()
    ended: list[Turn] = []

    def ends(turn: Turn, *args: Any, **kwargs: Any) -> None:
        if bugs:
            raise bugs.pop()
        end(turn, *args, **kwargs)
        ended.append(turn)

    monkeypatch.setattr(turn_change, "end", ends)

    @step
    async def gated() -> None:
        await gate.wait()

    async def waits(context: Context) -> int:
        await context.run(gated)
        return 1

    async with Parts(catalog(waits)) as parts:
        turn = make_turn(parts.owned[0], "boom")
        started = (1, 1, "turn.started", "", b"{}")
        known = {"workflow": "boom", "version": "1", "status": "running", "attempt": 1, "seq": 1}
        stored = loaded(turn.turn_id, turn.session_id, events=[started], **known)

        async def load_sessions(*_: object) -> list[Head]:
            return [] if ended else [head_of(stored)]

        parts.heads.load_sessions, parts.heads.turns[turn.turn_id] = load_sessions, stored
        parts.scheduler.accepted(turn, True, Read())
        parts.executor.fill()
        await until(lambda: turn.durable_seq == 1)
        gate.set()

        # From its begin to its end it may be in memory for less than a moment: it is known by its end.
        await until(lambda: ended and is_over(ended[0]) and parts.admission.running == 0)
        [again] = ended
        assert (again.turn_id, again.attempt, again.crashes) == (turn.turn_id, 2, 0)
        assert again is not turn
        assert not bugs


class Reread:
    """An intake whose reader reads again from the position when it is told to."""

    def __init__(self, stream: Stream) -> None:
        self.owned = Owned(0, epoch=1, buckets=(0, 1023))
        self.intake = Intake(
            stream,
            Reader(self.read),  # type: ignore[arg-type]
            Scheduler(8),
            claims_of(self.owned),
            Soon(),
            load({}),
            Said(),
        )
        self.intake.restart(self.owned)

    def read(self) -> None:
        begin = self.owned.position
        undecodable = [Record(position, 0, None, b"\x01?", ()) for position in range(begin, 3)]
        self.intake.take(Batch(0, self.owned.reading_no, undecodable, begin, 3, True))


class AcceptsAfterwards(Stream):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.call = Fails(error, self.accepted, times=2).asynchronously

    def accepted(
        self, statement: str, lane: str, log_id: str, partitions: Sequence[int], *_: Any, void: Any = None
    ) -> Answer:
        return Answer(1, datetime.now(UTC), [True] * len(partitions), None, [], [])


@EACH_KIND
async def test_records_are_accepted_after_calls_that_failed(error: Exception) -> None:
    reread = Reread(AcceptsAfterwards(error))
    async with running(reread.intake.run()):
        await until(lambda: reread.owned.position == 3)
