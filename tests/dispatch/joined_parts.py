"""The parts of a worker, joined over a scripted store."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

from argosy.clock import SystemClock
from argosy.errors import FlushRefusedError
from argosy.rounds import Rounds
from argosy.store.head import DueRow, Head, LoadedTurn
from argosy.store.numbered_stream import Answer
from argosy.workers.dispatch.execution.executor import Executor
from argosy.workers.dispatch.execution.limits import Limits
from argosy.workers.dispatch.flush.bounds import Bounds
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.inbox.inbox import Inbox
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.scheduling.histories import Bounds as HistoryBounds
from argosy.workers.dispatch.scheduling.histories import Histories
from argosy.workers.dispatch.scheduling.pager import Pager
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.definition import Workflow
from argosy.workflow.threads import make_threads


def make_owned():
    owned = Owned(0, epoch=1, buckets=(0, 1023))
    owned.is_open = True
    owned.held_at_s = float("inf")
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


SUSPENDED = {"version": "1", "status": "suspended", "attempt": 1, "seq": 3, "waits": b"[]"}


def loaded(turn_id, session_id=None, **known):
    """A turn as Postgres has it: queued and never run, unless told otherwise."""
    fields = {
        "turn_id": turn_id, "tenant": "a", "session_id": session_id or uuid.uuid4(), "session": "s", "bucket": 0,
        "place": 1, "workflow": "echo", "version": None, "status": "queued", "attempt": 0, "crashes": 0, "seq": 0,
        "priority": 0, "input": b"null", "waits": None, "trial": None, "size_bytes": 0, "events": [], "signals": [],
        "timers": [], "results": [],
    }  # fmt: skip
    return LoadedTurn(**(fields | known))


def due_row(turn, inbox_id, kind, name="", correlation="", payload=None):
    """A row of this turn's inbox as it is read when it is due: of the turn itself what is small."""
    known = {name: value for name, value in turn._asdict().items() if name in Head._fields}
    head = Head(**known | {"input": None, "has_rows": True})
    return DueRow(inbox_id, turn.turn_id, turn.bucket, kind, name, correlation, payload, turn.waits, head)


class Stream:
    """Answers every call; `refuse` says which calls Postgres refuses, `apply` which rows it applies."""

    def __init__(self):
        self.calls = []
        self.refuse = lambda arguments: False
        self.apply = lambda arguments: None
        self.before = lambda: asyncio.sleep(0)
        self.error = FlushRefusedError("22021: refused")

    async def call(self, statement, *arguments, void=None):
        await self.before()
        self.calls.append(arguments)
        if self.refuse(arguments):
            raise self.error
        return Answer(1, datetime.now(UTC), [True] * len(arguments[1]), self.apply(arguments), None, None)


class HeadsStub:
    def __init__(self):
        self.due, self.turns = [], {}
        self.load_size_bytes_max = 10**5

    async def due_inbox(self, ranges, known, rows_max, size_bytes_max):
        fresh = [row for row in self.due if row.inbox_id not in known]
        return [row for queue, count in rows_max.items() for row in [r for r in fresh if r.queue is queue][:count]]

    async def due_of_turns(self, turn_ids, known, rows_max, size_bytes_max):
        return [row for row in self.due if row.turn_id in turn_ids and row.inbox_id not in known][:rows_max]

    async def load_turns(self, ids):
        return [self.turns[each] for each in ids if each in self.turns]

    async def next_due_s(self, ranges):
        return None

    async def load_sessions(self, sessions, limit):
        return []


class NobodyHeld:
    """No step runs at a former owner."""

    held: ClassVar = {}

    def is_held(self, turn_id):
        return False


class Parts:
    """The worker's parts over a stub of the store, or over the store, joined like workers/dispatch/parts.py does."""

    def __init__(
        self,
        functions,
        *,
        rows_max=100,
        size_bytes_max=10**6,
        queue_size_bytes_max=10**7,
        history_size_bytes_max=10**8,
        heads=None,
        stream=None,
    ):
        self.owned = {0: make_owned()}
        self.is_watched = False
        self.background = set()
        self.heads, self.stream, clock = heads or HeadsStub(), stream or Stream(), SystemClock()
        self.scheduler = Scheduler(8)
        self.flusher = Flusher(
            self.stream,
            "default",
            clock,
            Bounds(100, size_bytes_max, queue_size_bytes_max, 1),
            word_s=3.0,
            on_written=lambda turns: self.executor.written(turns),
            on_moved=lambda i: self.inbox.moved(i),
            on_placed=lambda p: self.inbox.placed(p),
            on_refused=self.refused,
            on_answer=lambda a: None,
        )
        self.histories = Histories(
            self.heads,
            clock,
            HistoryBounds(10**6, 10**7),
            begin=lambda t: self.executor.begin(t),
            set_aside=lambda t, why: self.executor.set_aside(t, why),
            loaded_size_bytes=lambda: sum(each.history_bytes for each in self.scheduler.live.values()),
        )
        self.on_lacking: Callable[[Turn], None] = lambda turn: None
        self.on_lent: Callable[..., None] = lambda row, owned: None
        self.pager = Pager(
            self.heads,
            self.scheduler,
            clock,
            look_ahead_turns=8,
            ready_sessions_max=100,
            is_held=lambda turn_id: False,
            on_lent=lambda row, owned: self.on_lent(row, owned),
            histories=self.histories,
            on_ready=lambda: self.executor.fill(),
        )
        self.executor = Executor(
            self.scheduler,
            self.flusher,
            functions,
            make_threads(steps=1, workflows=4, abandoned_max=4),
            slots=4,
            flush_queue_max=100,
            limits=Limits(10**6, 60, 1000, history_size_bytes_max, ChannelBounds(10**5, 10**6, 10**6, 64)),
            database_time_s=lambda: 0.0,
            load=self.pager.load,
            again=lambda t: self.inbox.again(t),
            read_anew=self.read_anew,
            on_freed=lambda: self.executor.fill(),
            on_lacking=lambda turn: self.on_lacking(turn),
            is_watched=lambda _: self.is_watched,
            say=Rounds("wires", clock).say,
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
            rows_max=rows_max,
            size_bytes_max=10**6,
            is_lent=lambda turn_id: False,
            on_lent=lambda turn_id: None,
        )

    def refused(self, turns, lost):  # as Worker._refused
        for turn in turns:
            if not turn.owned.is_void:
                self.executor.dropped(turn)
                self.read_anew(turn)

    def read_anew(self, turn):  # as Worker._read_anew
        self.scheduler.left(turn)
        self.inbox.moved([*turn.moves, *turn.seen, *turn.deferred])
        self.scheduler.more(turn.session_id, turn.bucket, turn.owned)
        self.background.add(asyncio.create_task(self.pager.take_up(turn.turn_id, turn.owned, Resume.UNHEARD)))
        self.pager.nudge()

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(each.run()) for each in (self.flusher, self.pager)]
        return self

    async def __aexit__(self, *_):
        for task in (*self.tasks, *self.background):
            task.cancel()
        await asyncio.gather(*self.tasks, *self.background, return_exceptions=True)


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
