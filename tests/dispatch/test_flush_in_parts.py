"""A turn that has more to write than one flush takes is written in several, in order, and ends with the last."""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from argosy import Context, step
from argosy.errors import FlushSlowError
from argosy.turn.events import Event
from argosy.turn.inbox import Fate, RowKind
from argosy.turn.status import Status
from argosy.workers.dispatch.flush.flush_entry import FlushEntry
from argosy.workers.dispatch.flush.flush_queue import FlushBatch, LooseMove, Placement
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.turn import Turn
from argosy.workers.dispatch.writes import Address, InboxWrite
from tests.dispatch.joined_parts import Parts, catalog, is_over, make_owned, make_turn, until

KB = 1_000


def events_of(calls: Sequence[Sequence[Any]], turn: Turn) -> list[list[tuple[int, int]]]:
    """(seq, bytes) of its events, flush by flush."""
    found: list[list[tuple[int, int]]] = []
    for arguments in calls:
        turns, indexes, seqs, data = arguments[4], arguments[18], arguments[19], arguments[23]
        mine = [
            (seq, len(each))
            for index, seq, each in zip(indexes, seqs, data, strict=True)
            if turns[index - 1] == turn.turn_id
        ]
        if mine:
            found.append(mine)
    return found


def statuses_of(calls: Sequence[Sequence[Any]], turn: Turn) -> list[str]:
    return [
        arguments[8][index] for arguments in calls for index, each in enumerate(arguments[4]) if each == turn.turn_id
    ]


def a_running_turn(events: int, size_bytes: int) -> Turn:
    turn = make_turn(make_owned())
    turn.become(Status.RUNNING)
    turn.attempt = 1
    turn.write(Event.TURN_STARTED)
    for number in range(events):
        turn.write(Event.STEP_COMPLETED, f"s{number}", b"x" * size_bytes)
    return turn


def at_once(count: int) -> tuple[Callable[[Context], Awaitable[None]], list[int]]:
    """Return a workflow that runs so many steps at once, each with a result of 10 kB, and the list of those begun."""
    begun: list[int] = []

    @step
    async def large(number: int) -> str:
        begun.append(number)
        return "x" * 10 * KB

    async def runs_all(context: Context) -> None:
        await asyncio.gather(*(context.run(large, number) for number in range(count)))

    return runs_all, begun


async def test_a_large_turn_is_written_in_parts_and_others_in_between() -> None:
    async with Parts(catalog(at_once(40)[0]), flush_size_bytes_max=100 * KB) as parts:
        turn, small = make_turn(parts.owned[0], "boom"), make_turn(parts.owned[0], "boom", place=2)
        parts.scheduler.accepted(turn, True, Read())
        parts.executor.fill()
        await until(lambda: is_over(turn))

        flushes = events_of(parts.stream.calls, turn)
        assert [seq for flush in flushes for seq, _ in flush] == list(range(1, turn.seq + 1))
        assert max(sum(size for _, size in flush) for flush in flushes) <= 111 * KB
        assert statuses_of(parts.stream.calls, turn)[-1] == "completed"
        assert set(statuses_of(parts.stream.calls, turn)[:-1]) == {"running"}
        assert parts.admission.running == 0
        assert parts.flusher._queue.size_bytes == 0
        del small


def test_the_end_and_the_result_come_with_the_last_part() -> None:
    turn = a_running_turn(events=10, size_bytes=KB)
    turn.result = b"1"
    turn.become(Status.COMPLETED)
    turn.write(Event.TURN_COMPLETED)
    entry = FlushEntry(turn)

    first = entry.split(5 * KB)

    assert (first.status, first.result, first.seq, first.has_rest) == (Status.RUNNING, None, 5, True)
    assert (entry.old_status, entry.old_seq, entry.status, entry.seq, entry.result) == (
        Status.RUNNING, 5, Status.COMPLETED, 12, b"1",
    )  # fmt: skip


def test_a_signal_is_consumed_with_the_event_that_holds_it_and_not_before() -> None:
    turn = a_running_turn(events=2, size_bytes=KB)
    signals = [uuid.uuid4() for _ in range(4)]
    for signal in signals:
        turn.write(Event.WAIT_COMPLETED, str(signal), b"y" * KB)
        turn.moves[signal] = Fate.CONSUMED
        turn.consumed[signal] = turn.seq
    other = uuid.uuid4()
    turn.moves[other] = Fate.LATE
    entry = FlushEntry(turn)

    first = entry.split(4 * KB + 10)

    assert [event.key for event in first.events][-2:] == [str(signals[0]), str(signals[1])]
    assert set(first.moves) == set(signals[:2])
    assert set(entry.moves) == {*signals[2:], other}


def test_timers_come_before_the_waits_that_they_end() -> None:
    turn = a_running_turn(events=5, size_bytes=KB)
    turn.write(Event.WAIT_STARTED, "w", b"{}")
    timer = InboxWrite(uuid.uuid4(), RowKind.TIMER, "sleep", "w", None, 1.0)
    turn.inbox[timer.inbox_id] = timer
    entry = FlushEntry(turn)

    first = entry.split(2 * KB)

    assert first.inbox == {timer.inbox_id: timer}
    assert entry.inbox == {}


def test_a_row_for_another_turn_goes_with_the_event_that_names_it() -> None:
    turn = a_running_turn(events=3, size_bytes=KB)
    to = Address(None, 5, uuid.uuid4(), uuid.uuid4())
    rows = [InboxWrite(uuid.uuid4(), "start", "", "", b"r" * KB, 0.0, to) for _ in range(2)]
    turn.address_row(rows[0])
    for _ in range(2):
        turn.write(Event.STEP_COMPLETED, "later", b"x" * KB)
    turn.address_row(rows[1])
    whole = FlushEntry(turn)
    size_bytes = whole.size_bytes

    first = whole.split(4 * KB)

    assert list(first.inbox) == [rows[0].inbox_id]
    assert first.inbox[rows[0].inbox_id].seq <= first.seq < whole.inbox[rows[1].inbox_id].seq
    assert list(whole.inbox) == [rows[1].inbox_id]
    assert first.size_bytes + whole.size_bytes == size_bytes
    whole.give_back()
    assert turn.pending_bytes == whole.size_bytes


def test_waits_that_begin_with_the_rest_are_not_written_with_the_first() -> None:
    turn = a_running_turn(events=5, size_bytes=KB)
    turn.waits = b"[new]"
    turn.become(Status.SUSPENDED)
    turn.write(Event.TURN_SUSPENDED)
    entry = FlushEntry(turn)

    first = entry.split(2 * KB)

    assert (first.waits, entry.waits) == (None, b"[new]")


def test_what_is_given_back_and_taken_again_is_the_same() -> None:
    turn = a_running_turn(events=20, size_bytes=KB)
    turn.become(Status.COMPLETED)
    turn.write(Event.TURN_COMPLETED)
    whole = [event.seq for event in turn.events]
    size_bytes = turn.pending_bytes

    parts = []
    for _ in itertools.repeat(None):
        entry = FlushEntry(turn)
        if entry.size_bytes <= 3 * KB:
            parts.append(entry)
            break
        parts.append(entry.split(3 * KB))
        entry.give_back()

    assert [event.seq for part in parts for event in part.events] == whole
    assert sum(part.size_bytes for part in parts) == size_bytes
    assert [(part.old_seq, part.seq) for part in parts] == list(itertools.pairwise([0, *(part.seq for part in parts)]))
    assert turn.written_status is Status.COMPLETED
    assert turn.pending_bytes == 0


async def test_what_postgres_does_not_get_done_with_is_halved_and_nobody_is_parked() -> None:
    async with Parts(catalog(at_once(8)[0]), flush_size_bytes_max=1_000 * KB) as parts:
        parts.stream.error = FlushSlowError("TimeoutError")
        parts.stream.refuse = lambda arguments: sum(map(len, arguments[23])) > 25 * KB
        turns = [make_turn(parts.owned[0], "boom", place=place) for place in (1, 2)]
        for turn in turns:
            parts.scheduler.accepted(turn, True, Read())
        parts.executor.fill()

        await until(lambda: all(is_over(turn) for turn in turns))

        for turn in turns:
            taken = [call for call in parts.stream.calls if not parts.stream.refuse(call)]
            assert [seq for flush in events_of(taken, turn) for seq, _ in flush] == list(range(1, turn.seq + 1))


async def test_a_turn_with_one_event_too_large_is_parked_with_words_that_help() -> None:
    async def loud(context: Context) -> None:
        await context.run(large)

    @step
    async def large() -> str:
        return "x" * 10 * KB

    async with Parts(catalog(loud)) as parts:
        parts.stream.refuse = lambda arguments: any(len(each) > 5 * KB for each in arguments[23])
        turn = parts.begin("boom")

        await until(lambda: turn.status is Status.PARKED and parts.admission.running == 0)

        assert turn.reason == "unwritable"
        assert b"resume" in (turn.error or b"")
        assert b"cancel" in (turn.error or b"")
        assert events_of(parts.stream.calls, turn)[-1][-1][0] == turn.seq


async def test_nothing_begins_while_too_much_waits_to_be_written() -> None:
    fan_out, begun = at_once(100)
    async with Parts(catalog(fan_out), flush_size_bytes_max=100 * KB, flush_queue_size_bytes_max=200 * KB) as parts:
        go_on = asyncio.Event()
        parts.stream.before = lambda: go_on.wait() if len(begun) > 1 else asyncio.sleep(0)
        turn = parts.begin("boom")
        await until(lambda: parts.flusher.is_full)
        for _ in range(50):
            await asyncio.sleep(0)

        assert len(begun) <= 35

        go_on.set()
        await until(lambda: is_over(turn))
        assert len(begun) == 100


async def test_a_turn_whose_history_grows_too_large_fails_and_says_why() -> None:
    async def hoards(context: Context) -> None:
        for number in range(20):
            await context.run(large, number)

    @step
    async def large(number: int) -> str:
        return "x" * 10 * KB

    async with Parts(catalog(hoards), history_size_bytes_max=100 * KB) as parts:
        turn = parts.begin("boom")

        await until(lambda: turn.status is Status.FAILED and turn.durable_seq == turn.seq)

        assert b"HISTORY_SIZE_BYTES_MAX=100000" in (turn.error or b"")


async def test_once_a_history_is_full_none_of_the_turns_steps_begins() -> None:
    hoards, begun = at_once(300)
    async with Parts(catalog(hoards), history_size_bytes_max=100 * KB) as parts:
        turn = parts.begin("boom")

        await until(lambda: turn.status is Status.FAILED and turn.durable_seq == turn.seq)
        for _ in range(10):
            await asyncio.sleep(0)

        assert len(begun) <= 11


def test_a_delayed_turn_is_placed_before_its_timer_goes_when_they_are_written_apart() -> None:
    owned = make_owned()
    timer = LooseMove(owned, uuid.uuid4(), Fate.DELETED)
    placement = Placement(owned, uuid.uuid4(), uuid.uuid4(), 0)

    halves = FlushBatch([], [timer], [placement]).halves()

    assert halves == [FlushBatch([], [], [placement]), FlushBatch([], [timer], [])]
