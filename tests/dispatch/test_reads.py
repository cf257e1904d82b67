"""What a worker reads is compared with what it did while the answer was on its way."""

import asyncio
import gc
import uuid
import weakref
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from argosy import ids, record
from argosy.log import Batch, Record
from argosy.store.head import Head, LoadedTurn
from argosy.store.numbered_stream import Answer
from argosy.workers.dispatch.owned import Owned, Resume
from argosy.workers.dispatch.scheduling.reads import Read, Reads
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.joined_parts import SUSPENDED, Parts, catalog, due_row, loaded, make_turn, until

RUNNING: dict[str, Any] = {"version": "1", "status": "running", "attempt": 1, "seq": 1}


def head_of(row: LoadedTurn, *, has_rows: bool = False) -> Head:
    known = {name: value for name, value in row._asdict().items() if name in Head._fields}
    return Head(**known | {"has_rows": has_rows})


async def buffer_a_signal(parts: Parts, row: LoadedTurn) -> None:
    """A signal that no wait takes yet comes for a turn that is not in memory."""
    parts.heads.due = [due_row(row, uuid.uuid4(), "signal", "go", payload=b"1")]
    await parts.inbox.look()


async def nothing() -> None: ...


def answers(parts: Parts, first: list[Head], meanwhile: Callable[[], Awaitable[None]] = nothing) -> list[Any]:
    """What Postgres answers to the first read of heads or sessions, then nothing; `meanwhile` runs while that answer
    is on its way. Returns what was asked for.
    """
    asked: list[Any] = []

    async def load(*what: Any) -> list[Head]:
        asked.append(what)
        if len(asked) > 1:
            return []
        await meanwhile()
        return first

    parts.heads.load_heads = parts.heads.load_sessions = load
    return asked


# Accepts


async def accepted(parts: Parts, meanwhile: Callable[[Turn], Awaitable[None]], *, is_head: bool = True) -> Turn:
    """Return a turn of a record that was accepted; `meanwhile` runs while the answer is on its way."""
    owned = parts.owned[0]
    session_id = ids.session_id_of("default", "default", "session")
    turn_id = ids.TurnIdMint("default", "default").mint(ids.bucket_of(session_id))
    asked = record.TurnRequested(turn_id.bytes, "default", "default", "session", "echo", b"{}")
    turn = Turn(
        owned=owned,
        turn_id=turn_id,
        tenant="default",
        session_id=session_id,
        session_name="session",
        bucket=0,
        place=7,
        workflow="echo",
        priority=0,
        input=b"{}",
    )

    async def call(*_: Any, **__: Any) -> Answer:
        await meanwhile(turn)
        return Answer(1, datetime.now(UTC), [True], None, [7], [is_head])

    parts.admission.cut_off()  # nothing starts
    parts.accepts.call = call
    owned.read_as(1)
    parts.intake.take(Batch(0, 1, [Record(0, 0, None, record.encode(asked), ())], 0, 1, is_fresh=True))
    task = asyncio.create_task(parts.intake.run())
    await until(lambda: owned.position == 1)
    task.cancel()
    return parts.scheduler.live.get(turn_id, turn)


async def test_a_signal_that_came_while_its_turn_was_accepted_is_read_before_the_turn_runs() -> None:
    async with Parts(catalog()) as parts:

        async def signalled(turn: Turn) -> None:
            await buffer_a_signal(parts, loaded(turn.turn_id, turn.session_id))

        turn = await accepted(parts, signalled)

        assert parts.scheduler.head_of(turn.session_id) is turn
        assert turn.needs_load


async def test_a_turn_is_paged_in_if_those_before_it_left_memory_while_it_was_accepted() -> None:
    async with Parts(catalog()) as parts:

        async def ended(turn: Turn) -> None:
            before = make_turn(turn.owned)
            before.session_id = turn.session_id
            parts.scheduler.accepted(before, True, Read())
            parts.scheduler.ended(before)

        asked = answers(parts, [])
        turn = await accepted(parts, ended, is_head=False)

        await until(lambda: asked)
        assert [session_id for _, session_id in asked[0][0]] == [turn.session_id]


async def test_a_turn_is_paged_in_if_a_page_of_its_session_was_empty_while_it_was_accepted() -> None:
    """A borrower ended the turn before it, and the page was read before the accept was committed."""
    async with Parts(catalog()) as parts:

        async def paged(turn: Turn) -> None:
            parts.scheduler.more(turn.session_id, turn.bucket, turn.owned)
            [session] = parts.scheduler.take_to_page(10)
            parts.scheduler.paged(session, [], is_all=True, is_held=False, is_stale=False)

        asked = answers(parts, [])
        turn = await accepted(parts, paged, is_head=False)

        await until(lambda: asked)
        assert [session_id for _, session_id in asked[0][0]] == [turn.session_id]


# Pages and heads


def begin_to_read(parts: Parts, what: str, row: LoadedTurn) -> None:
    if what == "heads":
        parts.pager.claimed([parts.owned[0]])
    else:
        parts.scheduler.more(row.session_id, row.bucket, parts.owned[0])
        parts.pager.nudge()


@pytest.mark.parametrize("what", ["heads", "sessions"])
async def test_a_signal_that_came_while_its_turn_was_read_is_read_before_the_turn_runs(what: str) -> None:
    async with Parts(catalog()) as parts:
        parts.admission.cut_off()  # nothing starts
        row = loaded(uuid.uuid4())
        answers(parts, [head_of(row)], lambda: buffer_a_signal(parts, row))

        begin_to_read(parts, what, row)
        await until(lambda: row.turn_id in parts.scheduler.live)

        assert parts.scheduler.live[row.turn_id].needs_load


@pytest.mark.parametrize("what", ["heads", "sessions"])
async def test_a_turn_that_left_memory_while_it_was_read_is_not_believed(what: str) -> None:
    async with Parts(catalog()) as parts:
        row = loaded(uuid.uuid4())

        async def ran() -> None:
            turn = make_turn(parts.owned[0])
            turn.turn_id, turn.session_id = row.turn_id, row.session_id
            parts.scheduler.live[turn.turn_id] = turn
            parts.scheduler.left(turn)

        asked = answers(parts, [head_of(row)], ran)

        begin_to_read(parts, what, row)

        await until(lambda: len(asked) == 2 and not parts.scheduler.sessions)
        assert not parts.scheduler.live


async def test_a_session_that_grew_while_it_was_read_is_read_again() -> None:
    async with Parts(catalog()) as parts:
        row = loaded(uuid.uuid4())

        async def grew() -> None:
            parts.scheduler.more(row.session_id, row.bucket, parts.owned[0])

        asked = answers(parts, [], grew)

        begin_to_read(parts, "sessions", row)

        await until(lambda: len(asked) == 2)
        await until(lambda: row.session_id not in parts.scheduler.sessions)


async def test_a_session_whose_partition_was_opened_while_it_was_read_is_read_again() -> None:
    """Until then its running head was another worker's."""
    async with Parts(catalog()) as parts:
        owned, row = parts.owned[0], loaded(uuid.uuid4(), **RUNNING)
        owned.is_open = False

        async def opened() -> None:
            owned.is_open = True

        asked = answers(parts, [head_of(row)], opened)

        begin_to_read(parts, "sessions", row)

        await until(lambda: len(asked) == 2)


@pytest.mark.parametrize(("kind", "name"), [("cancel", ""), ("timer", "deadline")])
async def test_the_next_turn_waits_until_the_end_of_a_head_that_only_postgres_had_is_durable(
    kind: str, name: str
) -> None:
    """A row of its inbox ends the head while its session is read, and the commit of that end takes its time."""
    async with Parts(catalog()) as parts:
        parts.admission.cut_off()  # nothing starts
        head = loaded(uuid.uuid4())
        following = head._replace(turn_id=uuid.uuid4(), place=2)
        commit = asyncio.Event()
        parts.stream.before = commit.wait
        parts.heads.due = [due_row(head, uuid.uuid4(), kind, name)]
        reads = []

        async def load_sessions(*_: Any) -> list[Head]:
            reads.append(commit.is_set())
            await parts.inbox.look()
            return [head_of(each) for each in ((following,) if commit.is_set() else (head, following))]

        parts.heads.load_sessions = load_sessions
        begin_to_read(parts, "sessions", head)
        await until(lambda: reads and head.session_id not in parts.scheduler.sessions)
        commit.set()

        await until(lambda: parts.scheduler.head_of(head.session_id) is not None)

        assert reads == [False, True]
        assert following.turn_id in parts.scheduler.live


async def test_a_turn_behind_others_that_cannot_be_ended_does_not_pass_them() -> None:
    """Its end is refused, and it is read anew: the head of its session is another turn, which rests."""
    async with Parts(catalog()) as parts:
        parts.admission.cut_off()  # nothing starts
        head = loaded(uuid.uuid4(), **SUSPENDED)
        behind = head._replace(
            turn_id=uuid.uuid4(), place=2, version=None, status="queued", attempt=0, seq=0, waits=None
        )
        parts.heads.turns = {behind.turn_id: behind}
        answers(parts, [head_of(head), head_of(behind)])
        parts.stream.refuse = lambda _: True
        parts.stream.error = KeyError("k")
        cancel = due_row(behind, uuid.uuid4(), "cancel")
        parts.heads.due = [cancel]
        await parts.inbox.look()
        parts.heads.due = []

        await until(lambda: not parts.scheduler.live)
        await until(lambda: not parts.pager.is_coming(behind.turn_id))

        assert parts.scheduler.head_of(head.session_id) is None


# Turns that were held


async def test_what_came_for_a_turn_while_it_was_taken_up_is_not_missed() -> None:
    async with Parts(catalog()) as parts:
        parts.admission.cut_off()  # nothing starts
        row = loaded(uuid.uuid4(), **RUNNING)
        result = (uuid.uuid4(), "step.completed", "effect", b"1")
        reads = []

        async def load_turns(_: Any) -> list[LoadedTurn]:
            reads.append(row)
            if len(reads) == 1:
                parts.heads.due = [due_row(row, result[0], "step_result", *result[1:])]
                await parts.inbox.look()
                return [row]
            return [row._replace(results=[result])]

        parts.heads.load_turns = load_turns

        await parts.pager.take_up(row.turn_id, parts.owned[0], Resume.MOVED)

        assert [each.inbox_id for each in parts.scheduler.live[row.turn_id].results] == [result[0]]


async def test_a_turn_that_ran_while_it_was_taken_up_is_not_believed() -> None:
    async with Parts(catalog()) as parts:
        row = loaded(uuid.uuid4(), **RUNNING)

        async def load_turns(_: Any) -> list[LoadedTurn]:
            turn = make_turn(parts.owned[0])
            turn.turn_id, turn.session_id = row.turn_id, row.session_id
            parts.scheduler.found(turn)
            parts.scheduler.ended(turn)
            return [row]

        parts.heads.load_turns = load_turns

        await parts.pager.take_up(row.turn_id, parts.owned[0], Resume.MOVED)

        assert row.turn_id not in parts.scheduler.live
        assert not parts.pager.is_coming(row.turn_id)


async def test_a_row_that_stays_due_does_not_keep_a_turn_from_being_taken_up() -> None:
    """Every look meets it, and each would have the turn read once more."""
    async with Parts(catalog()) as parts:
        parts.admission.cut_off()
        row = loaded(uuid.uuid4(), **RUNNING)
        reads = []

        async def load_turns(_: Any) -> list[LoadedTurn]:
            reads.append(row)
            await buffer_a_signal(parts, row)  # its turn ran before a claim: the row stays
            return [row]

        parts.heads.load_turns = load_turns

        await parts.pager.take_up(row.turn_id, parts.owned[0], Resume.MOVED)

        assert row.turn_id in parts.scheduler.live
        assert len(reads) == 1


# What is kept


async def test_nothing_is_kept_of_a_turn_that_got_a_signal_and_ended_without_running() -> None:
    async with Parts(catalog()) as parts:
        turn_id = uuid.uuid4()
        kept = weakref.ref(turn_id)
        row = loaded(turn_id)
        await buffer_a_signal(parts, row)
        parts.heads.due = [due_row(row, uuid.uuid4(), "cancel")]
        await parts.inbox.look()
        await until(lambda: not parts.scheduler.live)
        del turn_id, row
        await buffer_a_signal(parts, loaded(uuid.uuid4()))
        await parts.flusher.drained()  # another flush: the last one is still at hand
        parts.heads.due.clear()
        parts.stream.calls.clear()

        gc.collect()

        assert kept() is None


async def test_a_signal_that_came_before_a_read_began_has_no_turn_read_twice() -> None:
    """The read counts it, as it was committed before it was taken."""
    async with Parts(catalog()) as parts:
        row = loaded(uuid.uuid4())
        await buffer_a_signal(parts, row)

        with parts.scheduler.reads.begin() as read:
            pass

        assert not read.taken


def test_reads_that_overlap_are_told_of_what_happened_in_each_of_them() -> None:
    owned = Owned(0, 1, (0, 1023))
    first, second, third = (make_turn(owned) for _ in range(3))
    reads = Reads()

    with reads.begin() as early:
        reads.left(first.turn_id, first.session_id)
        with reads.begin() as late:
            reads.grew(second.session_id)
            reads.took(second.turn_id)
        reads.let_go(third.session_id)

    assert early.left == {first.turn_id, first.session_id, third.session_id}
    assert (late.left, late.grown, late.taken) == (set(), {second.session_id}, {second.turn_id})
    assert (early.grown, early.taken) == (late.grown, late.taken)
