"""The parts of a worker, joined over a scripted store."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from argosy.clock import Clock, SystemClock
from argosy.config import load
from argosy.errors import FlushRefusedError
from argosy.log import Identity
from argosy.rpc.poke import Poker
from argosy.rpc.server import RpcServer
from argosy.rpc.signed_call import Callee
from argosy.store.build import Ability, Borrowed, Builds, LentTurn, Loans
from argosy.store.head import DueRow, Head, Heads, LoadedTurn, NextDue, SentSignal
from argosy.store.numbered_stream import Answer, NumberedStream
from argosy.store.parameters import CALL, FLUSH, names_of
from argosy.store.partition import Note, Partitions, ResultRow
from argosy.store.pool import Pool
from argosy.store.start import StartBounds, StartRow, StartRows
from argosy.turn.inbox import Queue
from argosy.turn.status import Status
from argosy.workers.dispatch.outside import Outside
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.parts import Parts as DispatchParts
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.stream.connection import GatewayConnection
from argosy.workers.dispatch.stream.hub import SubscribeRequest
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.catalog import Catalog
from argosy.workflow.definition import Workflow
from argosy.workflow.graphs import Graphs


def make_owned() -> Owned:
    owned = Owned(0, epoch=1, buckets=(0, 1023))
    owned.is_open = True
    owned.held_at_s = float("inf")
    return owned


def make_turn(owned: Owned, workflow: str = "echo", place: int = 1) -> Turn:
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


SUSPENDED: dict[str, Any] = {"version": "1", "status": "suspended", "attempt": 1, "seq": 3, "waits": b"[]"}


def loaded(turn_id: uuid.UUID, session_id: uuid.UUID | None = None, **known: Any) -> LoadedTurn:
    """A turn as Postgres has it: queued and never run, unless told otherwise."""
    fields: dict[str, Any] = {
        "turn_id": turn_id, "tenant": "a", "session_id": session_id or uuid.uuid4(), "session": "s", "bucket": 0,
        "place": 1, "workflow": "echo", "version": None, "status": "queued", "attempt": 0, "crashes": 0, "seq": 0,
        "priority": 0, "input": b"null", "waits": None, "trial": None, "size_bytes": 0, "events": [], "signals": [],
        "timers": [], "results": [],
    }  # fmt: skip
    return LoadedTurn(**(fields | known))


def due_row(
    turn: LoadedTurn,
    inbox_id: uuid.UUID,
    kind: str,
    name: str = "",
    correlation: str = "",
    payload: bytes | None = None,
) -> DueRow:
    """A row of this turn's inbox as it is read when it is due: of the turn itself what is small."""
    known = {name: value for name, value in turn._asdict().items() if name in Head._fields}
    head = Head(**known | {"input": None, "has_rows": True})
    return DueRow(inbox_id, turn.turn_id, turn.bucket, kind, name, correlation, payload, turn.waits, head)


class Stream(NumberedStream):
    """Answers every call; `refuse` says which calls Postgres refuses, `apply` which rows it applies."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.refuse: Callable[[tuple[Any, ...]], bool] = lambda arguments: False
        self.apply: Callable[[tuple[Any, ...]], list[bool] | None] = lambda arguments: None
        self.before: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
        self.error: Exception = FlushRefusedError("22021: refused")
        # Tests put others in its place.
        self.call: Callable[..., Coroutine[Any, Any, Answer]] = self.answer

    async def answer(self, statement: str, *arguments: Any, void: Sequence[Any] | None = None) -> Answer:
        await self.before()
        self.calls.append(arguments)
        if self.refuse(arguments):
            raise self.error
        return Answer(1, datetime.now(UTC), [True] * len(arguments[1]), self.apply(arguments), None, None)


def arguments_of(call: Sequence[Any]) -> dict[str, Any]:
    """The arguments of one flush, by the names of its parameters."""
    return dict(zip(names_of(FLUSH)[len(CALL) :], call, strict=True))


class HeadsStub(Heads):
    """Reads what `due` and `turns` have. Tests put other reads in the place of these."""

    def __init__(self) -> None:
        self.due: list[DueRow] = []
        self.turns: dict[uuid.UUID, LoadedTurn] = {}
        self.has_starts = False
        self.load_size_bytes_max = 10**5
        self.due_inbox: Callable[..., Coroutine[Any, Any, list[DueRow]]] = self.due_of_all
        self.load_turns: Callable[..., Coroutine[Any, Any, list[LoadedTurn]]] = self.turns_of
        self.load_head: Callable[..., Coroutine[Any, Any, Head | None]]
        self.load_heads: Callable[..., Coroutine[Any, Any, list[Head]]]
        self.load_sessions: Callable[..., Coroutine[Any, Any, list[Head]]] = self.no_sessions
        self.load_suspended: Callable[..., Coroutine[Any, Any, list[LoadedTurn]]]
        self.await_signals: Callable[..., Coroutine[Any, Any, list[SentSignal]]]

    async def due_of_all(
        self,
        ranges: Sequence[tuple[int, int]],
        known: Collection[uuid.UUID],
        rows_max: Mapping[Queue, int],
        size_bytes_max: int,
    ) -> list[DueRow]:
        fresh = [row for row in self.due if row.inbox_id not in known]
        return [row for queue, count in rows_max.items() for row in [r for r in fresh if r.queue is queue][:count]]

    async def due_of_turns(
        self, turn_ids: Sequence[uuid.UUID], known: Collection[uuid.UUID], rows_max: int, size_bytes_max: int
    ) -> list[DueRow]:
        return [row for row in self.due if row.turn_id in turn_ids and row.inbox_id not in known][:rows_max]

    async def turns_of(self, ids: Sequence[uuid.UUID]) -> list[LoadedTurn]:
        return [self.turns[each] for each in ids if each in self.turns]

    async def next_due(self, ranges: Sequence[tuple[int, int]]) -> NextDue:
        return NextDue(None, self.has_starts)

    async def no_sessions(self, sessions: Sequence[tuple[int, uuid.UUID]], limit: int) -> list[Head]:
        return []


class Anything:
    """In place of what a test does not ask: every method exists, takes anything and returns None."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class PoolStub(Pool):
    """A database that has nothing."""

    def __init__(self) -> None:
        pass

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        return []


class StartsStub(StartRows):
    """The rows of `starts`, by turn id, in the order in which they were asked for; `asked` are the reads of them."""

    def __init__(self) -> None:
        self.rows: dict[uuid.UUID, StartRow] = {}
        self.asked: list[tuple[int, list[uuid.UUID]]] = []

    async def due(
        self,
        ranges: Sequence[tuple[int, int]],
        after_bucket: int,
        bounds: StartBounds,
        without: Collection[uuid.UUID] = (),
    ) -> list[StartRow]:
        self.asked.append((after_bucket, list(without)))
        left = [row for row in self.rows.values() if row.bucket > after_bucket and row.turn_id not in without]
        found: list[StartRow] = []
        for bucket in sorted({row.bucket for row in left}):
            if any(first <= bucket <= last for first, last in ranges):
                found += [row for row in left if row.bucket == bucket][: bounds.rows_per_bucket_max]
        return found[: bounds.rows_max]


class BuildsStub(Builds):
    """No worker has any build; `late` are the turns that have wanted one for too long."""

    def __init__(self) -> None:
        self.late: set[uuid.UUID] = set()

    async def abilities(self, worker_ids: Iterable[uuid.UUID]) -> list[Ability]:
        return []

    async def lacking(self, turn_ids: Sequence[uuid.UUID], wait_s: float) -> set[uuid.UUID]:
        return self.late & set(turn_ids)


class LoansStub(Loans):
    """No turn is lent by this worker; to it, those in `to_us`."""

    def __init__(self) -> None:
        self.to_us: list[Borrowed] = []

    async def lent(self, turn_ids: Sequence[uuid.UUID]) -> list[LentTurn]:
        return []

    async def borrowed(self, known: Sequence[uuid.UUID], limit: int) -> list[Borrowed]:
        return [each for each in self.to_us if each.head.turn_id not in known][:limit]

    async def due(
        self, turn_ids: Sequence[uuid.UUID], known: Sequence[uuid.UUID], rows_max: int, size_bytes_max: int
    ) -> list[DueRow]:
        return []


class PartitionsStub(Partitions):
    """Keeps what was given up, and outcomes for other owners; no former owner left a note."""

    def __init__(self, worker_id: uuid.UUID) -> None:
        self.worker_id = worker_id
        self.given: list[int] = []
        self.results: list[ResultRow] = []

    async def give(self, partitions: Sequence[int], *_: Any) -> None:
        self.given += partitions

    async def write_results(self, rows: Sequence[ResultRow]) -> None:
        self.results += rows

    async def notes(self, partitions: Sequence[int]) -> list[Note]:
        return []


class ServerStub(RpcServer):
    """Serves nobody."""

    address = "127.0.0.1:1"

    def __init__(self) -> None:
        pass


class PokerStub(Poker):
    """Sends nothing; `asked` are the former owners that were told of claims, and of which."""

    def __init__(self) -> None:
        self.asked: list[tuple[uuid.UUID, list[int]]] = []

    def poke(
        self,
        callee: Callee,
        inbox_buckets: Iterable[int] = (),
        log_partitions: Iterable[int] = (),
        claimed_partitions: Iterable[int] = (),
        signalled_turns: Iterable[tuple[str, uuid.UUID]] = (),
        *,
        is_urgent: bool = True,
    ) -> None:
        if claimed := list(claimed_partitions):
            self.asked.append((callee.worker_id, claimed))


class PartsOver(DispatchParts):
    """The worker's own parts over these reads and flushes: all that `workers/dispatch/parts.py` makes, as attributes.

    They own partition 0, the only one. Of their loops those of flushes, pages and loans run; the inbox looks when a
    test lets it. Whatever else the worker reaches outside is scripted.
    """

    _DEFAULTS: ClassVar = {
        "dispatch_slots": 4, "dispatch_threads": 1, "flush_rows_max": 100, "flush_wait_ms": 1,
        "flush_queue_max": 100, "look_ahead_turns": 8, "ready_sessions_max": 100, "inbox_rows_max": 100,
        "inbox_interval_s": 0.05, "history_size_bytes_max": 10**8, "flush_size_bytes_max": 10**6,
        "flush_queue_size_bytes_max": 10**7,
    }  # fmt: skip

    def __init__(
        self,
        functions: Catalog,
        heads: Heads,
        flushes: NumberedStream,
        clock: Clock | None = None,
        graphs: Graphs | None = None,
        **settings: Any,
    ) -> None:
        worker_id = uuid.uuid4()
        self.accepts, self.partitions = Stream(), PartitionsStub(worker_id)
        self.builds, self.loans, self.poker = BuildsStub(), LoansStub(), PokerStub()
        self.start_rows = StartsStub()
        anything: Any = Anything()
        outside = Outside(
            worker_id=worker_id,
            reader=anything,
            macs=None,
            accepts=self.accepts,
            flushes=flushes,
            heads=heads,
            starts=self.start_rows,
            partitions=self.partitions,
            lane_logs=anything,
            builds=self.builds,
            loans=self.loans,
            pool=PoolStub(),
            server=ServerStub(),
            poker=self.poker,
            graphs=graphs,
        )
        super().__init__(load({}, **self._DEFAULTS | settings), functions, outside, clock or SystemClock())
        self.claims.begin(Identity("c", "t", 1))
        self.owned[0] = make_owned()
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def owned(self) -> dict[int, Owned]:
        return self.claims.owned

    def begin(self, workflow: str = "echo", place: int = 1) -> Turn:
        """Accept a turn, as if its record had just come, and start what may start."""
        turn = make_turn(self.owned[0], workflow, place)
        self.scheduler.accepted(turn, True, Read())
        self.executor.fill()
        return turn

    def look_on(self, turn: Turn) -> GatewayConnection:
        """Watch a turn, as a gateway does for a client; return the gateway's connection."""
        request = SubscribeRequest(1, turn.turn_id, False, turn.tenant, 0, (0, 0), False, False, 10**6)
        connection = GatewayConnection(10**6)
        self.hub.subscribe(connection, request)
        return connection

    async def __aenter__(self) -> Self:
        self.tasks = [asyncio.create_task(each.run()) for each in (self.flusher, self.pager, self.lending)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (*self.tasks, *self.background._tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, *self.background._tasks, return_exceptions=True)
        self.threads.close()


class Parts(PartsOver):
    """The worker's own parts over a stub of the store: they read what `heads` has, and `stream` answers flushes."""

    def __init__(
        self, functions: Catalog, clock: Clock | None = None, graphs: Graphs | None = None, **settings: Any
    ) -> None:
        self.heads, self.stream = HeadsStub(), Stream()
        super().__init__(functions, self.heads, self.stream, clock, graphs, **settings)


class OneWorkflow(Catalog):
    """The same workflow under each version, or none."""

    def __init__(self, definition: Workflow | None) -> None:
        super().__init__()
        self._definition = definition

    def get(self, name: str, version: str | None) -> Workflow | None:
        return self._definition if self._definition is not None and name == self._definition.name else None


def catalog(function: Callable[..., Any] | None = None, name: str = "boom") -> Catalog:
    """Return a catalog of one workflow that takes no input, or of none."""
    return OneWorkflow(function and Workflow(name, "1", "", function, True, False, False))


def is_over(turn: Turn) -> bool:
    """Whether a turn has completed, and that is durable."""
    return turn.status is Status.COMPLETED and turn.durable_seq == turn.seq


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 — what it waits for has no event
            await asyncio.sleep(0.005)
