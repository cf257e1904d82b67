"""Turns that other turns started are accepted as records are: over the worker's own parts and a scripted store."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

import pytest
from structlog.testing import capture_logs

from argosy import Context, ids, record, telemetry
from argosy.errors import FlushRefusedError, FlushSlowError, StoreUnavailableError
from argosy.log import Batch, Identity, Record
from argosy.record import TurnRequested
from argosy.store.numbered_stream import Answer
from argosy.store.parameters import ACCEPT, CALL, names_of
from argosy.store.start import StartRow
from argosy.turn.events import Event
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.writes import Address, InboxWrite
from argosy.workflow.catalog import Catalog
from tests.dispatch.joined_parts import Parts, catalog, make_turn, until

TENANT, LANE = "default", "default"


def start_of(session: str, **fields: Any) -> StartRow:
    session_id = ids.session_id_of(TENANT, LANE, session)
    bucket = ids.bucket_of(session_id)
    turn_id = ids.TurnIdMint(TENANT, LANE).mint(bucket)
    asked = TurnRequested(turn_id.bytes, TENANT, LANE, session, "boom", b"null")
    return StartRow(turn_id, bucket, TENANT, session_id, record.encode(asked))._replace(**fields)


class Accepts:
    """Answers accepts as Postgres does: a start that has a row becomes a turn, and the row goes."""

    def __init__(self, rows: dict[uuid.UUID, StartRow]) -> None:
        self.rows = rows
        self.calls: list[dict[str, Any]] = []
        self.voids: list[Any] = []
        self.places: dict[uuid.UUID, int] = {}
        self.lost: set[int] = set()
        self.refuse: Callable[[list[uuid.UUID]], Exception | None] = lambda turns: None

    async def call(self, statement: str, *arguments: Any, void: Any = None) -> Answer:
        named = dict(zip(names_of(ACCEPT)[len(CALL) :], arguments, strict=True))
        self.calls.append(named)
        self.voids.append(void)
        await asyncio.sleep(0)
        turns = list(named["t_turn"])
        if (error := self.refuse(turns)) is not None:
            raise error
        places: list[int | None] = []
        for turn_id, partition in zip(turns, named["t_partition"], strict=True):
            is_start = named["p_to"][named["p_partitions"].index(partition)] is None
            is_here = partition not in self.lost and not (is_start and self.rows.pop(turn_id, None) is None)
            places.append(len(self.places) + 1 if is_here else None)
            if is_here:
                self.places[turn_id] = len(self.places) + 1
        held = [each not in self.lost for each in named["p_partitions"]]
        return Answer(1, datetime.now(UTC), held, None, places, [each is not None for each in places])

    @property
    def turns(self) -> list[list[uuid.UUID]]:
        """What each call was to accept."""
        return [list(each["t_turn"]) for each in self.calls]


class Started(Parts):
    """Parts whose `starts` runs. waiting: what is in Postgres; postgres: who answers accepts."""

    def __init__(self, *rows: StartRow, functions: Catalog | None = None, **settings: Any) -> None:
        super().__init__(functions or catalog(), **settings)
        self.waiting = self.start_rows.rows
        self.postgres = Accepts(self.waiting)
        self.accepts.call = self.postgres.call
        self.wait(*rows)

    def wait(self, *rows: StartRow) -> None:
        """Let these wait in `starts`."""
        self.waiting |= {row.turn_id: row for row in rows}

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.tasks.append(asyncio.create_task(self.starts.run()))
        return self


async def test_a_start_becomes_a_turn_that_runs_and_no_position_moves() -> None:
    ran: list[Any] = []

    async def flow(context: Context) -> None:
        ran.append(context)

    row = start_of("s")
    async with Started(row, functions=catalog(flow)) as parts:
        parts.owned[0].accept_to(42)
        parts.starts.poke()
        await until(lambda: ran and row.turn_id not in parts.scheduler.live)

        (call,) = parts.postgres.calls
        assert (call["p_partitions"], call["p_epochs"]) == ([0], [1])
        assert (call["p_from"], call["p_to"], call["p_through"]) == ([None], [None], [None])
        assert (list(call["t_turn"]), list(call["t_session"])) == ([row.turn_id], [row.session_id])
        assert parts.owned[0].position == 42
        assert len(ran) == 1
        assert len(parts.start_rows.asked) == 1


async def test_all_that_wait_are_accepted_a_few_of_each_bucket_at_a_time_in_the_order_of_each_session() -> None:
    many, few = [start_of("many") for _ in range(9)], start_of("few")
    async with Started(*many, few, start_rows_max=4) as parts:
        parts.starts.poke()
        await until(lambda: not parts.waiting)

        turns = parts.postgres.turns
        assert max(map(len, turns)) == 4
        assert [each for call in turns for each in call if each != few.turn_id] == [each.turn_id for each in many]
        assert few.turn_id in turns[0] + turns[1]


async def test_what_cannot_become_a_turn_stays_until_the_next_claim_and_keeps_no_other() -> None:
    good = start_of("s")
    bad = [
        start_of("a", record=b"\x09newer"),
        start_of("b", record=b"\x01?"),
        start_of("c", tenant="another"),
        start_of("d", session_id=uuid.uuid4()),
        start_of("e", turn_id=uuid.uuid4()),
    ]
    async with Started(*bad, good) as parts:
        with capture_logs() as logs:
            parts.starts.poke()
            await until(lambda: parts.postgres.places)
            parts.starts.poke()
            await until(lambda: len(parts.start_rows.asked) == 2)
        assert set(parts.postgres.places) == {good.turn_id}
        assert sorted(parts.start_rows.asked[1][1]) == sorted(each.turn_id for each in bad)
        said = [each["turn_id"] for each in logs if each["event"] == telemetry.START_LEFT]
        assert sorted(said) == sorted(str(each.turn_id) for each in bad)

        parts.owned[0].lose()
        parts.owned[0] = Owned(0, epoch=2, buckets=(0, 1023))
        parts.owned[0].open()
        parts.starts.poke()
        await until(lambda: len(parts.start_rows.asked) == 3)
        assert parts.start_rows.asked[2][1] == []


async def test_of_starts_that_postgres_refuses_only_the_one_at_fault_is_left() -> None:
    rows = [start_of(f"s{n}") for n in range(7)]
    at_fault = rows[4].turn_id
    async with Started(*rows) as parts:
        parts.postgres.refuse = lambda turns: FlushRefusedError("22021: refused") if at_fault in turns else None
        parts.starts.poke()
        await until(lambda: len(parts.postgres.places) == 6)

        assert set(parts.waiting) == {at_fault}
        assert at_fault not in parts.postgres.places


async def test_a_start_for_which_postgres_is_too_slow_is_waited_for_in_the_end() -> None:
    row = start_of("s")
    async with Started(row) as parts:
        slow = [FlushSlowError("slow")]
        parts.postgres.refuse = lambda turns: slow.pop() if slow else None
        parts.starts.poke()
        await until(lambda: parts.postgres.places)

        assert [void is None for void in parts.postgres.voids] == [False, True]


async def test_a_start_that_postgres_refuses_slowly_is_left_and_keeps_no_other() -> None:
    rows = [start_of(f"s{n}") for n in range(5)]
    at_fault = rows[2].turn_id
    async with Started(*rows) as parts:

        def refuse(turns: list[uuid.UUID]) -> Exception | None:
            if at_fault not in turns:
                return None
            is_last_resort = parts.postgres.voids[-1] is None
            return FlushRefusedError("22021: refused") if is_last_resort else FlushSlowError("slow")

        parts.postgres.refuse = refuse
        with capture_logs() as logs:
            parts.starts.poke()
            await until(lambda: len(parts.postgres.places) == 4)
            await until(lambda: any(each["event"] == telemetry.START_LEFT for each in logs))

        assert set(parts.waiting) == {at_fault}
        assert sum(void is None for void in parts.postgres.voids) == 1


async def test_who_lost_the_partition_has_no_turn_of_it_in_memory_and_the_row_stays() -> None:
    row = start_of("s")
    async with Started(row) as parts:
        owned = parts.owned[0]
        parts.postgres.lost.add(0)
        parts.starts.poke()
        await until(lambda: owned.is_void)

        assert 0 not in parts.owned
        assert row.turn_id not in parts.scheduler.live
        assert set(parts.waiting) == {row.turn_id}


@pytest.mark.parametrize("change", ["close", "lose"])
async def test_starts_of_a_partition_that_is_given_away_are_left_to_its_next_owner(change: str) -> None:
    async with Started(start_of("s")) as parts:
        getattr(parts.owned[0], change)()
        parts.starts.poke()
        await asyncio.sleep(0.02)

        assert parts.start_rows.asked == []
        assert parts.postgres.calls == []


async def test_starts_wait_in_postgres_while_too_many_sessions_are_ready() -> None:
    first = [start_of(f"s{n}") for n in range(12)]
    async with Started(*first, ready_sessions_max=10, dispatch_slots=1) as parts:
        parts.admission.cut_off()  # nothing begins
        parts.starts.poke()
        await until(lambda: not parts.waiting)
        parts.wait(last := start_of("last"))
        parts.starts.poke()
        await asyncio.sleep(0.02)
        assert last.turn_id not in parts.postgres.places

        for row in first:
            parts.scheduler.removed(parts.scheduler.live[row.turn_id])
        parts.intake.balance()
        await until(lambda: last.turn_id in parts.postgres.places)


async def test_an_error_is_outlived_and_the_start_is_looked_for_again() -> None:
    row = start_of("s")
    async with Started(row) as parts:
        errors: list[Exception] = [StoreUnavailableError("away")]
        parts.postgres.refuse = lambda turns: errors.pop() if errors else None
        parts.starts.poke()
        await until(lambda: parts.postgres.places)

        assert len(parts.postgres.calls) == 2


async def test_starts_and_records_are_accepted_one_call_after_the_other() -> None:
    row, other = start_of("s"), start_of("s")
    async with Started(row) as parts:
        calling = 0

        def overlap(turns: list[uuid.UUID]) -> None:
            assert calling == 1

        answer, parts.postgres.refuse = parts.postgres.call, overlap

        async def counted(*arguments: Any, void: Any = None) -> Answer:
            nonlocal calling
            calling += 1
            await asyncio.sleep(0.005)
            try:
                return await answer(*arguments, void=void)
            finally:
                calling -= 1

        parts.accepts.call = counted
        parts.tasks.append(asyncio.create_task(parts.intake.run()))
        owned = parts.owned[0]
        parts.intake.restart(owned)
        parts.starts.poke()
        parts.intake.take(Batch(0, owned.reading_no, [Record(0, 0, None, other.record, ())], 0, 1, True))
        await until(lambda: len(parts.postgres.places) == 2)

        assert {*parts.postgres.places} == {row.turn_id, other.turn_id}
        assert owned.position == 1


def an_address(bucket: int) -> Address:
    return Address(None, bucket, uuid.uuid4(), uuid.uuid4())


async def test_who_wrote_a_start_looks_at_once_and_tells_the_owners() -> None:
    row = start_of("s")
    async with Started() as parts:
        told: list[int] = []

        async def tell_owners(buckets: set[int], claims: Any) -> None:
            told.extend(buckets)

        setattr(parts.others, "tell_owners", tell_owners)  # noqa: B010
        parts.claims.begin(Identity("c", "t", 2))
        parts.owned[0] = Owned(0, epoch=1, buckets=(0, 511))
        parts.owned[0].open()
        elsewhere = 1023
        here = next(each for n in range(99) if (each := start_of(f"here-{n}")).bucket < 512)
        parts.wait(here)
        turn = make_turn(parts.owned[0])
        turn.write(Event.STEP_COMPLETED, "step")
        for bucket in (here.bucket, elsewhere):
            turn.address_row(InboxWrite(uuid.uuid4(), "start", "", "", row.record, 0.0, an_address(bucket)))
        parts.flusher.add(turn)
        await until(lambda: here.turn_id in parts.postgres.places and told)

        assert sorted(told) == [here.bucket, elsewhere]


async def test_a_look_at_the_inbox_finds_starts_that_nobody_told_of() -> None:
    row = start_of("s")
    async with Started(row) as parts:
        parts.heads.has_starts = True
        assert await parts.inbox.look() is None
        await until(lambda: row.turn_id in parts.postgres.places)

        parts.heads.has_starts = False
        await parts.inbox.look()
        await asyncio.sleep(0.01)
        assert len(parts.start_rows.asked) == 1
