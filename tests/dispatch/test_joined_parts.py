"""The joined parts of a worker over a scripted store: what is hard to bring about with real servers."""

import asyncio
import uuid
from typing import Any

import pytest

from argosy import Context
from argosy.store.build import Borrowed
from argosy.store.head import DueRow, Head, LoadedTurn
from argosy.turn.status import Status
from argosy.workers.dispatch.builds import borrowing
from argosy.workers.dispatch.flush import flusher
from argosy.workers.dispatch.inbox.in_hand import ROWS_PER_READ
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.scheduling import pager
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.signals import Signal
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.joined_parts import SUSPENDED, Parts, catalog, due_row, loaded, make_owned, make_turn, until


class NoWordsError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [ValueError("plain"), NoWordsError(), ValueError("caf\udce9.txt")],
    ids=["control", "broken_str", "lone_surrogate"],
)
async def test_whatever_a_workflow_raises_its_slot_is_freed(error: Exception) -> None:
    async def boom(context: Context) -> None:
        raise error

    async with Parts(catalog(boom)) as parts:
        turn = parts.begin("boom")
        await until(lambda: turn.execution is None or turn.execution.has_ended)
        await until(lambda: parts.admission.running == 0)
        assert turn.status is Status.FAILED


@pytest.mark.parametrize("how", ["more", "removed"])
def test_a_partition_lost_while_a_flush_is_under_way_leaves_no_session_behind(how: str) -> None:
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


async def test_the_session_of_a_lost_and_reclaimed_partition_still_runs() -> None:
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
        scheduler.paged(session, [again], is_all=True, is_held=False, is_stale=False)
    picked = scheduler.pick()
    assert picked is not None
    assert picked.is_live, "picked under the lost claim: begin() drops it, and the session is held for ever"


async def test_a_head_that_ran_while_it_was_read_is_not_run_again() -> None:
    async with Parts(catalog()) as parts:
        turn = make_turn(parts.owned[0])

        async def load_heads(*_: object) -> list[Head]:
            parts.scheduler.accepted(turn, True, Read())
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
        parts.heads.turns[turn_id] = loaded(
            turn_id, **SUSPENDED | {"waits": waits, "signals": [(uuid.uuid4(), name, b"1")]}
        )

        await parts.pager.take_up(turn_id, owned, Resume.MOVED)

        assert (turn_id in parts.scheduler.live) is is_woken


async def test_a_turn_that_was_held_and_cannot_be_read_is_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would look at it again, and its session waits behind it."""
    monkeypatch.setattr(pager, "_RETRY_S", 0.001)
    async with Parts(catalog(lambda context: None, "echo")) as parts:
        turn_id, owned = uuid.uuid4(), parts.owned[0]
        row = loaded(turn_id, status="running", attempt=1, seq=2, version="1")
        known = {name: value for name, value in row._asdict().items() if name in Head._fields}

        async def load_turns(_: object) -> list[LoadedTurn]:
            raise KeyError("bug")

        async def load_head(_: object) -> Head:
            return Head(**known | {"has_rows": False})

        parts.heads.load_turns, parts.heads.load_head = load_turns, load_head

        await parts.pager.take_up(turn_id, owned, Resume.MOVED)

        turn = parts.scheduler.live[turn_id]
        await until(lambda: turn.written_status is Status.PARKED)
        assert turn.reason == "unreadable"
        assert not parts.pager.is_coming(turn_id)


@pytest.mark.parametrize("status", ["queued", "suspended", "running"])
@pytest.mark.parametrize("read", ["a head", "a session", "a turn that was held"])
async def test_a_lent_turn_is_left_alone_whether_its_start_is_recorded_or_not(status: str, read: str) -> None:
    """Its borrower runs it, or will; two of them would run the same step."""
    async with Parts(catalog()) as parts:
        owned = parts.owned[0]
        waits = b'[{"key":"signal:go","kind":"signal","name":"go"}]'
        row = loaded(
            uuid.uuid4(), version="1", status=status, seq=1, waits=waits, lent_to=uuid.uuid4(),
            signals=[(uuid.uuid4(), "go", b"1")],
        )  # fmt: skip
        head = Head(
            **{name: value for name, value in row._asdict().items() if name in Head._fields} | {"has_rows": True}
        )

        async def load(*_: object) -> list[Head]:
            return [head]

        parts.heads.load_heads = parts.heads.load_sessions = load
        parts.heads.turns[row.turn_id] = row
        if read == "a head":
            parts.pager.claimed([owned])
        elif read == "a session":
            parts.scheduler.more(row.session_id, 0, owned)
            parts.pager.nudge()
        else:
            await parts.pager.take_up(row.turn_id, owned, Resume.UNHEARD)

        await until(lambda: list(parts.elsewhere.lent) == [row.turn_id])
        assert row.turn_id not in parts.scheduler.live


async def test_a_borrowed_turn_writes_to_graphs_under_the_epoch_that_its_partition_has() -> None:
    row = loaded(uuid.uuid4())

    async with Parts(catalog()) as parts:
        parts.admission.cut_off()  # nothing starts
        parts.loans.to_us = [Borrowed(Head(**_known(row)), "moved", 70)]
        parts.borrowing.poke()
        await parts.borrowing.look()

        owned = parts.borrowing.turns[row.turn_id].owned
        assert (owned.epoch, owned.graph_epoch) == (0, 70)


async def test_a_row_that_fails_does_not_keep_other_borrowed_turns_from_their_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, good = loaded(uuid.uuid4()), loaded(uuid.uuid4())
    rows = [due_row(each, uuid.uuid4(), "signal", "go", payload=b"1") for each in (bad, good)]
    receive = Turn.receive

    async def due(_: object, known: list[uuid.UUID], *bounds: int) -> list[DueRow]:
        return [row for row in rows if row.inbox_id not in known]

    def received(turn: Turn, signal: Signal) -> None:
        if turn.turn_id == bad.turn_id:
            raise KeyError("a bug")
        receive(turn, signal)

    async with Parts(catalog()) as parts:
        monkeypatch.setattr(Turn, "receive", received)
        monkeypatch.setattr(parts.loans, "due", due)
        parts.admission.cut_off()  # nothing starts
        parts.loans.to_us = [Borrowed(Head(**_known(each)), "moved", 70) for each in (bad, good)]
        parts.borrowing.poke()
        await parts.borrowing.look()

        assert [each.name for each in parts.borrowing.turns[good.turn_id].signals] == ["go"]


async def test_rows_of_borrowed_turns_are_read_on_until_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours pass until the next look, unless this one finds that there may be more."""
    lent = loaded(uuid.uuid4())
    rows = [due_row(lent, uuid.uuid4(), "signal", "go", payload=b"1") for _ in range(ROWS_PER_READ + 1)]

    async def due(_: object, known: list[uuid.UUID], rows_max: int, size_bytes_max: int) -> list[DueRow]:
        return [row for row in rows if row.inbox_id not in known][:rows_max]

    monkeypatch.setattr(borrowing, "_LOOK_S", 3600.0)
    async with Parts(catalog()) as parts:
        monkeypatch.setattr(parts.loans, "due", due)
        parts.admission.cut_off()  # nothing starts
        parts.loans.to_us = [Borrowed(Head(**_known(lent)), "moved", 70)]
        parts.tasks.append(asyncio.create_task(parts.borrowing.run()))
        parts.borrowing.poke()

        await until(lambda: lent.turn_id in parts.borrowing.turns)
        await until(lambda: len(list(parts.borrowing.turns[lent.turn_id].signals)) == len(rows))


def _known(row: LoadedTurn) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name in Head._fields} | {"has_rows": False}


async def test_nothing_of_a_borrowed_turn_runs_before_its_start_is_recorded() -> None:
    """Until then a new owner of its partition could not see that it runs elsewhere, nor what its borrower died of."""
    ran, is_answered = asyncio.Event(), asyncio.Event()
    head = Head(uuid.uuid4(), "a", uuid.uuid4(), "s", 0, 1, "echo", None, "queued", 0, 0, 0, 0, b"null", False)

    async def runs(context: Context) -> None:
        ran.set()

    async with Parts(catalog(runs, "echo")) as parts:
        parts.stream.before = is_answered.wait
        parts.loans.to_us = [Borrowed(head, "moved", 70)]
        parts.borrowing.poke()
        await parts.borrowing.look()
        await until(lambda: parts.borrowing.turns[head.turn_id].written_status is not Status.QUEUED)
        for _ in range(50):
            await asyncio.sleep(0)
        had_run = ran.is_set()
        is_answered.set()
        await until(ran.is_set)

    assert not had_run


@pytest.mark.parametrize("is_followed", [True, False])
async def test_the_start_of_a_turn_is_written_at_once_when_somebody_looks_on(
    is_followed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher, "_LAZY_S", 3_600.0)

    async def works_for_long(context: Context) -> None:
        await context.run(asyncio.Event().wait)

    async with Parts(catalog(works_for_long)) as parts:
        turn = make_turn(parts.owned[0], "boom")
        if is_followed:
            parts.look_on(turn)
        parts.scheduler.accepted(turn, True, Read())
        parts.executor.fill()
        await until(lambda: turn.execution is not None)
        for _ in range(50):
            await asyncio.sleep(0)

        assert bool(parts.stream.calls) is is_followed


async def test_whoever_tells_the_parts_what_happened_is_given_every_part() -> None:
    async with Parts(catalog()) as parts:
        for dispatcher in (parts.dispatcher, parts.loan_dispatcher):
            assert type(dispatcher).__annotations__.keys() <= vars(dispatcher).keys()
