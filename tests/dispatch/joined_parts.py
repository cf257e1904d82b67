"""The parts of a worker, joined over a scripted store."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, ClassVar

from argosy.clock import SystemClock
from argosy.config import load
from argosy.errors import FlushRefusedError
from argosy.log import Identity
from argosy.store.head import DueRow, Head, LoadedTurn
from argosy.store.numbered_stream import Answer
from argosy.store.parameters import CALL, FLUSH, names_of
from argosy.workers.dispatch.outside import Outside
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.parts import Parts as DispatchParts
from argosy.workers.dispatch.stream.connection import GatewayConnection
from argosy.workers.dispatch.stream.hub import SubscribeRequest
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.definition import Workflow


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


def arguments_of(call: Sequence[Any]) -> dict[str, Any]:
    """The arguments of one flush, by the names of its parameters."""
    return dict(zip(names_of(FLUSH)[len(CALL) :], call, strict=True))


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


class Anything:
    """In place of what a test does not ask: every method exists, takes anything and returns None."""

    def __getattr__(self, name):
        return lambda *_, **__: None


class PoolStub:
    """A database that has nothing."""

    async def fetch(self, query, *arguments):
        return []


class BuildsStub:
    """No worker has any build; `late` are the turns that have wanted one for too long."""

    def __init__(self):
        self.late = set()

    async def abilities(self, worker_ids):
        return []

    async def lacking(self, turn_ids, wait_s):
        return self.late & set(turn_ids)


class LoansStub:
    """No turn is lent by this worker; to it, those in `to_us`."""

    def __init__(self):
        self.to_us = []

    async def lent(self, turn_ids):
        return []

    async def borrowed(self, known, limit):
        return [each for each in self.to_us if each.head.turn_id not in known][:limit]

    async def due(self, turn_ids, known):
        return []


class PartitionsStub:
    """Keeps what was given up, and outcomes for other owners; no former owner left a note."""

    def __init__(self, worker_id):
        self.worker_id = worker_id
        self.given, self.results = [], []

    async def give(self, partitions, epochs, are_settled, note):
        self.given += partitions

    async def write_results(self, rows):
        self.results += rows

    async def notes(self, partitions):
        return []


def scripted(heads, stream):
    """The outside of a worker that reaches nothing: it reads what `heads` has, and `stream` answers its flushes."""
    worker_id = uuid.uuid4()
    return Outside(
        worker_id=worker_id,
        reader=Anything(),
        accepts=Stream(),
        flushes=stream,
        heads=heads,
        partitions=PartitionsStub(worker_id),
        lane_logs=Anything(),
        builds=BuildsStub(),
        loans=LoansStub(),
        pool=PoolStub(),
        server=SimpleNamespace(address="127.0.0.1:1"),
        poker=Anything(),
    )


class Parts:
    """The worker's own parts over a stub of the store, or over the store: all that `workers/dispatch/parts.py` makes,
    as attributes. They own partition 0, the only one. Of their loops those in `_loops` run; the inbox looks when a test
    lets it.
    """

    _DEFAULTS: ClassVar = {
        "dispatch_slots": 4, "dispatch_threads": 1, "flush_rows_max": 100, "flush_wait_ms": 1,
        "flush_queue_max": 100, "look_ahead_turns": 8, "ready_sessions_max": 100, "inbox_rows_max": 100,
        "inbox_interval_s": 0.05, "history_size_bytes_max": 10**8, "flush_size_bytes_max": 10**6,
        "flush_queue_size_bytes_max": 10**7,
    }  # fmt: skip

    def __init__(self, functions, *, heads=None, stream=None, clock=None, **settings):
        self.heads, self.stream = heads or HeadsStub(), stream or Stream()
        self.outside = scripted(self.heads, self.stream)
        own = load({}, **self._DEFAULTS | settings)
        self._parts = DispatchParts(own, functions, self.outside, clock or SystemClock())
        self.claims.begin(Identity("c", "t", 1))
        self.owned[0] = make_owned()

    def __getattr__(self, name):
        return getattr(self._parts, name)

    @property
    def owned(self):
        return self.claims.owned

    def look_on(self, turn):
        """Watch a turn, as a gateway does for a client."""
        request = SubscribeRequest(1, turn.turn_id, False, turn.tenant, 0, (0, 0), False, False, 10**6)
        self.hub.subscribe(GatewayConnection(10**6), request)

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(each.run()) for each in (self.flusher, self.pager, self.lending)]
        return self

    async def __aexit__(self, *_):
        for task in (*self.tasks, *self.background._tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, *self.background._tasks, return_exceptions=True)
        self.threads.close()


def catalog(function=None, name="boom"):
    class Found:
        def get(self, workflow, version):
            return definition if function is not None and workflow == name else None

    definition = function and Workflow(name, "1", "", function, True, False, False)
    return Found()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 — what it waits for has no event
            await asyncio.sleep(0.005)
