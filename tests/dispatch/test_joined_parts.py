"""The joined parts of a worker over a scripted store: what is hard to bring about with real servers."""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from argosy.clock import SystemClock
from argosy.errors import FlushRefusedError, OwnershipLostError
from argosy.store.head import DueRow, Head, LoadedTurn
from argosy.store.numbered_stream import Answer
from argosy.turn.status import Status
from argosy.workflow.channels import ChannelBounds
from argosy.workflow.definition import Workflow
from workers.dispatch.execution.executor import Executor
from workers.dispatch.execution.limits import Limits
from workers.dispatch.flush.flusher import Flusher, LooseMove
from workers.dispatch.inbox.inbox import Inbox
from workers.dispatch.scheduling.pager import Pager
from workers.dispatch.scheduling.scheduler import Scheduler
from workers.dispatch.turn import Owned, Resume, Turn


def make_owned():
    owned = Owned(0, epoch=1, buckets=(0, 1023))
    owned.is_open = True
    return owned


def make_turn(owned, workflow="echo", place=1):
    return Turn(
        owned=owned,
        turn_id=uuid.uuid4(),
        tenant="a",
        session_id=uuid.uuid4(),
        session_name="s",
        bucket=0,
        place=place,
        workflow=workflow,
        priority=0,
        input=b"null",
    )


class Stream:
    """Answers every call; `refuse` says which calls Postgres refuses, `apply` which rows it applies."""

    def __init__(self):
        self.calls = []
        self.refuse = lambda arguments: False
        self.apply = lambda arguments: None
        self.error = FlushRefusedError("22021: refused")

    async def call(self, statement, *arguments):
        await asyncio.sleep(0)
        self.calls.append(arguments)
        if self.refuse(arguments):
            raise self.error
        return Answer(1, datetime.now(UTC), [True] * len(arguments[1]), self.apply(arguments), None, None)


class HeadsStub:
    def __init__(self):
        self.due, self.turns = [], {}

    async def due_inbox(self, ranges, limit):
        return list(self.due)

    async def load_turns(self, ids):
        return [self.turns[each] for each in ids if each in self.turns]

    async def next_due_s(self, ranges):
        return None

    async def load_sessions(self, sessions, limit):
        return []


class NobodyHeld:
    """No step runs at a former owner."""

    def is_held(self, turn_id):
        return False

    def drop(self, turn_id):
        pass


class Parts:
    """The worker's parts over a stub of the store, joined like workers/dispatch/parts.py does."""

    def __init__(self, functions):
        self.owned = {0: make_owned()}
        self.heads, self.stream, clock = HeadsStub(), Stream(), SystemClock()
        self.scheduler = Scheduler(8)
        self.flusher = Flusher(
            self.stream,
            "default",
            clock,
            rows_max=100,
            wait_ms=1,
            on_written=lambda turns: self.executor.written(turns),
            on_moved=lambda i: self.inbox.moved(i),
            on_placed=lambda p: self.inbox.placed(p),
            on_refused=self.refused,
            on_answer=lambda a: None,
        )
        self.pager = Pager(
            self.heads,
            self.scheduler,
            clock,
            look_ahead_turns=8,
            ready_sessions_max=100,
            is_held=lambda turn_id: False,
            begin=lambda t: self.executor.begin(t),
            on_ready=lambda: self.executor.fill(),
        )
        self.executor = Executor(
            self.scheduler,
            self.flusher,
            functions,
            ThreadPoolExecutor(1),
            slots=4,
            flush_queue_max=100,
            limits=Limits(10**6, 60, 1000, ChannelBounds(10**5, 10**6, 10**6, 64)),
            database_time_s=lambda: 0.0,
            load=self.pager.load,
            again=lambda t: self.inbox.again(t),
            on_freed=lambda: self.executor.fill(),
        )
        self.inbox = Inbox(
            self.heads,
            self.scheduler,
            self.executor,
            self.flusher,
            self.pager,
            NobodyHeld(),
            clock,
            owned=self.owned,
            partition_of=lambda b: 0,
            interval_s=lambda: 0.05,
        )

    def refused(self, turns, lost):  # as Worker._refused
        for turn in turns:
            if not turn.owned.is_void:
                self.executor.dropped(turn)
                self.scheduler.left(turn)
                self.scheduler.more(turn.session_id, turn.bucket, turn.owned)

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(self.flusher.run())]
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def catalog(function=None, name="boom"):
    class Found:
        def get(self, workflow, version):
            return definition if function is not None and workflow == name else None

    definition = function and Workflow(name, "1", "", function, True, False, False)
    return Found()


async def until(condition):
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 — what it waits for has no event
            await asyncio.sleep(0.005)


class NoWordsError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [ValueError("plain"), NoWordsError(), ValueError("caf\udce9.txt")],
    ids=["control", "broken_str", "lone_surrogate"],
)
async def test_whatever_a_workflow_raises_its_slot_is_freed(error):
    async def boom(context):
        raise error

    async with Parts(catalog(boom)) as parts:
        turn = make_turn(parts.owned[0], "boom")
        parts.scheduler.accepted(turn, True)
        parts.executor.fill()
        await until(lambda: turn.task is None or turn.task.done())
        await until(lambda: parts.executor.running == 0)
        assert turn.status is Status.FAILED


async def test_a_timer_in_hand_of_a_turn_that_is_parked_is_released():
    async with Parts(catalog()) as parts:
        turn_id, timer_id = uuid.uuid4(), uuid.uuid4()
        waits = b'[{"key":"sleep","kind":"sleep","timer_id":"%s","due_at_s":1.0}]' % str(timer_id).encode()
        parts.heads.turns[turn_id] = LoadedTurn(
            turn_id, "a", uuid.uuid4(), "s", 0, 1, "gone", "1", "suspended", 1, 0, 3, 0, b"null", waits, [], [], [], []
        )
        parts.heads.due = [DueRow(timer_id, turn_id, 0, "timer", "sleep", "sleep", None, "suspended", 0.0)]
        await parts.inbox._read()
        await until(lambda: parts.executor.running == 0 and turn_id not in parts.scheduler.live)
        assert timer_id not in parts.inbox._in_hand, "due in Postgres for ever, and never looked at again"


async def test_rows_in_hand_of_a_refused_turn_are_looked_at_again():
    async with Parts(catalog()) as parts:
        parts.stream.apply = lambda arguments: [False] * 1
        turn_id, cancel_id = uuid.uuid4(), uuid.uuid4()
        parts.heads.turns[turn_id] = LoadedTurn(
            turn_id, "a", uuid.uuid4(), "s", 0, 1, "gone", "1", "suspended", 1, 0, 3, 0, b"null", b"[]", [], [], [], []
        )
        parts.heads.due = [DueRow(cancel_id, turn_id, 0, "cancel", "", "", None, "suspended", 0.0)]
        await parts.inbox._read()
        await until(lambda: parts.stream.calls)
        await until(lambda: cancel_id not in parts.inbox._in_hand)
        assert turn_id not in parts.scheduler.live


@pytest.mark.parametrize("how", ["more", "removed"])
def test_a_partition_lost_while_a_flush_is_under_way_leaves_no_session_behind(how):
    scheduler, lost = Scheduler(8), make_owned()
    turn = make_turn(lost)
    scheduler.live[turn.turn_id] = turn  # as Inbox._take_absent does for one cancelled in Postgres
    lost.is_void = True
    scheduler.void(lost)
    if how == "more":
        scheduler.more(turn.session_id, 0, lost)  # Inbox.placed, from the answer of that flush
    else:
        scheduler.removed(turn)  # Executor._settled, from the answer of that flush
    assert not scheduler.sessions


async def test_the_session_of_a_lost_and_reclaimed_partition_still_runs():
    scheduler, lost, anew = Scheduler(8), make_owned(), make_owned()
    turn = make_turn(lost)
    lost.is_void = True
    scheduler.void(lost)
    scheduler.more(turn.session_id, 0, lost)
    head = make_turn(anew)
    head.session_id = turn.session_id
    scheduler.found(head)  # the new claim's heads
    for session in scheduler.take_to_page(10):
        again = make_turn(session.owned)  # as Pager._read_sessions: the turn is of the session's Owned
        again.session_id = turn.session_id
        scheduler.paged(session, [again], is_all=True, is_held=False)
    picked = scheduler.pick()
    assert picked is not None
    assert picked.is_live, "picked under the lost claim: begin() drops it, and the session is held for ever"


async def test_a_refused_loose_move_is_said_as_what_it_is():
    async with Parts(catalog()) as parts:
        parts.stream.refuse = lambda arguments: True
        parts.flusher.move(LooseMove(parts.owned[0], uuid.uuid4(), "late"))
        with pytest.raises(FlushRefusedError):
            await asyncio.wait_for(asyncio.shield(parts.tasks[0]), 10)
        assert len(parts.stream.calls) <= 3


async def test_a_poisoned_turn_ends_its_task_quietly():
    async def wait_for_ever(context):
        await asyncio.Event().wait()

    async with Parts(catalog(wait_for_ever)) as parts:
        parts.stream.refuse = lambda arguments: "unwritable" not in repr(arguments)
        turn = make_turn(parts.owned[0], "boom")
        parts.scheduler.accepted(turn, True)
        parts.executor.fill()
        await until(lambda: turn.status is Status.PARKED and parts.executor.running == 0)
        await until(lambda: turn.task.done())
        assert turn.task.cancelled() or turn.task.exception() is None


async def test_a_stream_that_the_database_does_not_know_ends_the_worker() -> None:
    async with Parts(catalog()) as parts:
        parts.stream.refuse = lambda arguments: True
        parts.stream.error = OwnershipLostError("flush 7 of stream 2 does not follow 3")
        parts.flusher.move(LooseMove(parts.owned[0], uuid.uuid4(), "late"))

        with pytest.raises(OwnershipLostError):
            await asyncio.wait_for(asyncio.shield(parts.tasks[0]), 10)

        assert parts.owned[0].is_void


async def test_a_signal_that_meets_a_turn_before_its_accept_has_answered_is_read_when_the_turn_runs() -> None:
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])
        waiting = LoadedTurn(
            turn.turn_id,
            "a",
            turn.session_id,
            "s",
            0,
            1,
            "echo",
            None,
            "queued",
            0,
            0,
            0,
            0,
            b"null",
            None,
            [],
            [],
            [],
            [],
        )
        parts.heads.turns[turn.turn_id] = waiting
        parts.heads.due = [DueRow(uuid.uuid4(), turn.turn_id, 0, "signal", "go", "", b"1", "queued", 0.0)]

        await parts.inbox._read()  # Postgres has the turn, memory has not
        parts.pager.entered(turn)

        assert turn.needs_load


async def test_what_was_read_of_a_turn_that_ran_meanwhile_is_not_believed() -> None:
    """It entered memory, ran and left it while the answer was on its way: its row is looked at again."""
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])
        signal_id = uuid.uuid4()
        stale = LoadedTurn(
            turn.turn_id,
            "a",
            turn.session_id,
            "s",
            0,
            1,
            "echo",
            None,
            "queued",
            0,
            0,
            0,
            0,
            b"1",
            None,
            [],
            [],
            [],
            [],
        )
        parts.heads.due = [DueRow(signal_id, turn.turn_id, 0, "signal", "go", "", b"1", "queued", 0.0)]

        async def load_turns(ids):
            parts.scheduler.accepted(turn, True)
            parts.scheduler.left(turn)  # suspended, and its flush is durable
            return [stale]

        parts.heads.load_turns = load_turns
        await parts.inbox._read()

        assert signal_id not in parts.inbox._in_hand
        assert parts.inbox._work.is_set()


async def test_a_head_that_ran_while_it_was_read_is_not_run_again() -> None:
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])

        async def load_heads(*_):
            parts.scheduler.accepted(turn, True)
            assert parts.scheduler.pick() is turn
            parts.scheduler.ended(turn)
            return [
                Head(turn.turn_id, "a", turn.session_id, "s", 0, 1, "echo", None, "queued", 0, 0, 0, 0, b"1", False)
            ]

        parts.heads.load_heads = load_heads
        parts.pager.claimed([parts.owned[0]])
        await parts.pager._read_heads()

        assert turn.turn_id not in parts.scheduler.live
        assert parts.scheduler.ready_count == 0


@pytest.mark.parametrize(("name", "is_woken"), [("go", True), ("other", False)])
async def test_a_turn_that_was_held_goes_on_when_what_it_waits_for_came_meanwhile(name: str, is_woken: bool) -> None:
    """It was buffered because the turn was held: nothing else would wake the turn."""
    async with Parts(catalog()) as parts:
        turn_id, owned = uuid.uuid4(), parts.owned[0]
        waits = b'[{"key":"signal:go","kind":"signal","name":"go"}]'
        parts.heads.turns[turn_id] = LoadedTurn(
            turn_id, "a", uuid.uuid4(), "s", 0, 1, "echo", "1", "suspended", 1, 0, 3, 0, b"1", waits,
            [], [(uuid.uuid4(), name, b"1")], [], [],
        )  # fmt: skip

        await parts.pager.take_up(turn_id, owned, Resume.MOVED)

        assert (turn_id in parts.scheduler.live) is is_woken
