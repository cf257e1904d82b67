"""What a worker reads of the turns that it owns: in order, whole, and in bounded parts."""

import uuid

import pytest

from argosy.store.head import Heads
from tests.store.due import NIL, send
from tests.store.hand import Change, Hand, New
from tests.store.test_accept import FUTURE
from tests.store.test_flush import QUEUED, RUNNING, STARTED, running


async def test_the_head_of_each_session_is_its_first_turn_that_has_not_ended(hand: Hand, heads: Heads) -> None:
    done, head, behind, other = New("a"), New("a"), New("a"), New("b", priority=7)
    await hand.accept(done, head, behind, other)
    await hand.flush(Change(done, QUEUED, "completed"))
    await hand.flush(Change(other, QUEUED, "running", events=STARTED))

    found = await heads.load_heads(0, NIL, 1023, 10)

    assert {each.turn_id: (each.session, each.status, each.seq, each.priority) for each in found} == {
        head.turn_id: ("a", "queued", 0, 0),
        other.turn_id: ("b", "running", 1, 7),
    }


async def test_heads_are_read_by_pages_and_by_ranges_of_buckets(hand: Hand, heads: Heads) -> None:
    turns = [New(f"s{n}") for n in range(30)]
    await hand.accept(*turns, *(New(f"s{n}") for n in range(30)))

    read, at = [], (256, NIL)
    while page := await heads.load_heads(*at, 767, 4):
        read += page
        at = (page[-1].bucket, page[-1].session_id)

    expected = sorted((each.bucket, each.session_id) for each in turns if 256 <= each.bucket <= 767)
    assert [(each.bucket, each.session_id) for each in read] == expected


async def test_delayed_and_ended_turns_are_no_heads(hand: Hand, heads: Heads) -> None:
    delayed, rejected = New("a", not_before=FUTURE, key="k"), New("a", key="k", digest=b"other")
    await hand.accept(delayed, rejected)

    assert await heads.load_heads(0, NIL, 1023, 10) == []
    assert await heads.load_sessions([(delayed.bucket, delayed.session_id)], 10) == []


async def test_the_next_turns_of_sessions_come_in_order(hand: Hand, heads: Heads) -> None:
    a, b = [New("a") for _ in range(4)], [New("b") for _ in range(2)]
    await hand.accept(a[0], b[0], a[1], a[2], b[1], a[3])

    found = await heads.load_sessions([(b[0].bucket, b[0].session_id), (a[0].bucket, a[0].session_id)], 3)

    assert [each.turn_id for each in found] == [each.turn_id for each in (*b, *a[:3])]


async def test_a_large_input_is_left_for_later(hand: Hand, heads: Heads) -> None:
    large, small = New("a", input=b"x" * 101), New("b", input=b"x" * 100)
    await hand.accept(large, small)

    found = {each.turn_id: each.input for each in await heads.load_heads(0, NIL, 1023, 10)}

    assert found == {large.turn_id: None, small.turn_id: small.input}
    assert [each.input for each in await heads.load_turns([large.turn_id])] == [large.input]


async def test_a_turn_is_loaded_with_its_history_and_the_signals_nobody_took(hand: Hand, heads: Heads) -> None:
    turn, taken, first, second = New("a"), *(uuid.uuid4() for _ in range(3))
    await running(hand, turn)
    await hand.flush(Change(turn, RUNNING, "running", rows=[(each, "signal", "s", 0.0) for each in (taken, second)]))
    await hand.rows("UPDATE inbox SET sent_at = now() + interval '1 s' WHERE inbox_id = $1", second)
    await hand.flush(
        Change(
            turn, RUNNING, "running",
            events=[("wait.completed", "w")], rows=[(first, "signal", "s", 0.0)], moves=[(taken, "consumed")],
        )
    )  # fmt: skip

    (loaded,) = await heads.load_turns([turn.turn_id])

    assert loaded.events is not None
    assert [tuple(each) for each in loaded.events] == [
        (1, 1, "turn.started", "", b"{}"),
        (2, 1, "wait.completed", "w", b"{}"),
    ]
    assert [tuple(each) for each in loaded.signals] == [(first, "s", None), (second, "s", None)]
    assert (loaded.status, loaded.seq, loaded.session) == ("running", 2, "a")


async def with_events(hand: Hand, session: str, count: int, size_bytes: int) -> New:
    """A running turn with so many events of so many bytes."""
    turn = New(session)
    await running(hand, turn)
    events = [("step.completed", f"s{number}") for number in range(count)]
    await hand.flush(Change(turn, RUNNING, "running", events=events))
    await hand.rows(
        "UPDATE events SET data = convert_to(repeat('x', $2), 'UTF8') WHERE turn_id = $1", turn.turn_id, size_bytes
    )
    return turn


@pytest.fixture
def small_reads(heads: Heads) -> Heads:
    heads.load_size_bytes_max = 10_000
    return heads


async def test_one_read_brings_so_many_bytes_and_of_the_others_says_how_much_there_is(
    hand: Hand, small_reads: Heads
) -> None:
    turns = [await with_events(hand, session, 3, 1_000) for session in "abcd"]
    await send(hand, turns[3])

    loaded = await small_reads.load_turns([each.turn_id for each in turns])

    assert [each.turn_id for each in loaded] == [each.turn_id for each in turns]
    assert [each.events is not None for each in loaded] == [True, True, False, False]
    assert all(4_000 <= each.size_bytes <= 5_000 for each in loaded)
    assert (loaded[3].results, loaded[3].input) == (None, None)
    assert [(name, payload) for _, name, payload in loaded[3].signals] == [("s1", None)]


async def test_a_turn_larger_than_a_read_is_read_page_by_page(hand: Hand, small_reads: Heads) -> None:
    turn = await with_events(hand, "a", 50, 1_000)
    await send(hand, turn)

    (told,) = await small_reads.load_turns([turn.turn_id])
    whole = await small_reads.load_whole(turn.turn_id)

    assert told.events is None
    assert whole is not None
    assert whole.events is not None
    assert [event[0] for event in whole.events] == list(range(1, 52))
    assert {len(event[4]) for event in whole.events} == {1_000}
    assert len(whole.signals) == 1
    assert whole.size_bytes == told.size_bytes


async def test_what_is_read_ahead_of_a_signal_is_no_large_history(hand: Hand, small_reads: Heads) -> None:
    large, small = await with_events(hand, "a", 50, 1_000), await with_events(hand, "b", 2, 100)
    for turn in (small, large):
        await hand.rows("UPDATE turns SET status = 'suspended', waits = '[]' WHERE turn_id = $1", turn.turn_id)

    found = await small_reads.load_suspended([small.turn_id, large.turn_id], 100)

    assert [each.turn_id for each in found] == [small.turn_id]


async def test_unread_signals_count_like_history_and_are_not_read_with_what_is_too_large(
    hand: Hand, small_reads: Heads
) -> None:
    turn = await with_events(hand, "a", 1, 100)
    await send(hand, turn, 20)
    await hand.rows("UPDATE inbox SET payload = convert_to(repeat('x', 1000), 'UTF8') WHERE turn_id = $1", turn.turn_id)

    (loaded,) = await small_reads.load_turns([turn.turn_id])

    assert loaded.events is None
    assert loaded.size_bytes > 20_000
    assert [payload for _, _, payload in loaded.signals] == [None] * 20
