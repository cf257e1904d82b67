"""What a worker reads of due rows: every one, of its own turns, in bounded parts."""

from argosy.store.head import Heads
from tests.store.due import NIL, due, read_through, send, write
from tests.store.hand import Change, Hand, New
from tests.store.test_flush import QUEUED, STARTED


async def test_what_is_sent_to_a_duplicate_comes_to_its_original(hand: Hand, heads: Heads) -> None:
    first, second = New("a", key="k"), New("a", key="k")
    await hand.accept(first, second)
    await send(hand, second)

    rows = await due(heads, [(0, 1023)])

    assert [(each.turn_id, each.head and each.head.status) for each in rows] == [(first.turn_id, "queued")]
    assert (await heads.next_due([(0, 1023)])).next_due_s is None


async def test_a_signal_to_a_duplicate_that_was_kept_is_found_with_its_original(hand: Hand, heads: Heads) -> None:
    first, second = New("a", key="k"), New("a", key="k")
    await hand.accept(first, second)
    await send(hand, second)
    await hand.rows("UPDATE inbox SET state = 'buffered' RETURNING 1")

    (loaded,) = await heads.load_turns([first.turn_id])
    (head,) = await heads.load_heads(0, NIL, 1023, 10)

    assert [signal[1] for signal in loaded.signals] == ["s1"]
    assert head.has_rows


async def test_rows_of_other_buckets_and_of_the_future_are_not_due(hand: Hand, heads: Heads) -> None:
    turn = New("a", deadline_s=60)
    await hand.accept(turn)
    await send(hand, turn)

    mine = await due(heads, [(turn.bucket, turn.bucket)])
    next_due_s, _ = await heads.next_due([(turn.bucket, turn.bucket)])
    others = await due(heads, [(0, turn.bucket - 1), (turn.bucket + 1, 1023)])

    assert [each.kind for each in mine] == ["signal"]
    assert next_due_s is not None
    assert 50 < next_due_s <= 60
    assert others == []


async def test_rows_for_turns_that_are_not_accepted_yet_do_not_keep_others_waiting(hand: Hand, heads: Heads) -> None:
    """They wait for the log, which may take long; what can be delivered does not wait with them."""
    turn = New("a")
    await hand.accept(turn)
    await send(hand, New("a"), count=20, age="5 seconds")
    await send(hand, turn)

    rows = await due(heads, [(0, 1023)])

    assert [each.turn_id for each in rows] == [turn.turn_id]


async def test_rows_for_a_turn_that_never_came_are_found_in_the_end(hand: Hand, heads: Heads) -> None:
    never = New("a")
    await read_through(hand, never, age_s=0)
    await send(hand, never, age="11 minutes")

    rows = await due(heads, [(0, 1023)])

    assert [(each.turn_id, each.head) for each in rows] == [(never.turn_id, None)]


async def test_rows_for_turns_in_the_log_wait_as_long_as_the_log_is_not_read(hand: Hand, heads: Heads) -> None:
    """Every worker was away for longer than a turn that never comes is waited for."""
    turn = New("a")
    await read_through(hand, turn, age_s=1_200)
    await send(hand, turn, age="11 minutes")

    assert await due(heads, [(0, 1023)]) == []


async def test_no_kind_of_row_hides_another(hand: Hand, heads: Heads) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "timer", "sleep", 50)
    await write(hand, turn, "signal", "go", 50)
    await write(hand, turn, "timer", "deadline")
    await write(hand, turn, "cancel")

    rows = await due(heads, each=3)

    assert [(each.kind, each.name) for each in rows] == [
        ("cancel", ""), ("timer", "deadline"), *[("signal", "go")] * 3, *[("timer", "sleep")] * 3
    ]  # fmt: skip


async def test_what_is_known_is_passed_over_and_what_became_visible_meanwhile_is_found(
    hand: Hand, heads: Heads
) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "timer", "sleep", 5)

    first = [each.inbox_id for each in await due(heads, each=3)]
    await write(hand, turn, "timer", "earlier", 9)  # among them one that was due before all that is known
    rest = await due(heads, known=first, each=20)

    assert len({*first, *(each.inbox_id for each in rest)}) == 14
    assert len(rest) == 11
    assert await due(heads, each=0) == []


async def test_the_payloads_of_one_read_are_bounded_and_one_row_always_comes(hand: Hand, heads: Heads) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "signal", "large", 3, b"x" * 5_000)
    await write(hand, turn, "timer", "sleep")

    rows = await due(heads, size_bytes_max=6_000)

    assert [each.name for each in rows] == ["large", "large", "sleep"]
    assert [each.name for each in await due(heads, size_bytes_max=1)] == ["large", "sleep"]


async def test_what_a_turn_waits_for_is_read_once_however_many_of_its_rows_are_due(hand: Hand, heads: Heads) -> None:
    many, other = New("a"), New("b")
    await hand.accept(many, other)
    for turn in (many, other):
        await hand.rows("UPDATE turns SET waits = $2 WHERE turn_id = $1", turn.turn_id, b"x" * 5_000)
        await write(hand, turn, "timer", "sleep", 4)
    await write(hand, many, "signal", "go")

    rows = await due(heads, size_bytes_max=10_001)
    of_one = await heads.due_of_turns([many.turn_id], [], 10, 9_000)

    assert len(rows) == 9
    assert len(of_one) == 5
    assert {each.waits for each in (*rows, *of_one)} == {b"x" * 5_000}
    assert len(await due(heads, size_bytes_max=5_000)) < 9  # it counts all the same


async def test_a_due_row_comes_with_what_decides_about_its_turn(hand: Hand, heads: Heads) -> None:
    turn = New("a", priority=3)
    await hand.accept(turn)
    await hand.flush(Change(turn, QUEUED, "suspended", events=STARTED))
    await write(hand, turn, "signal", "go", payload=b"1")

    (row,) = await due(heads)

    assert row.head is not None
    assert (row.head.status, row.head.session, row.head.seq, row.head.priority) == ("suspended", "a", 1, 3)
    assert (row.waits, row.payload, row.head.input) == (b"[]", b"1", None)


async def test_rows_of_another_tenants_turn_are_nobodys(hand: Hand, heads: Heads) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "cancel")
    await hand.rows("UPDATE inbox SET tenant = 'other' RETURNING 1")

    assert await due(heads) == []


async def test_what_is_due_of_some_turns_is_found_behind_all_that_is_due_of_others(hand: Hand, heads: Heads) -> None:
    mine, other = New("a"), New("b")
    await hand.accept(mine, other)
    await write(hand, other, "timer", "sleep", 50)
    await write(hand, mine, "timer", "sleep")
    await write(hand, mine, "signal", "go", 2, b"x" * 600)

    rows = await heads.due_of_turns([mine.turn_id], [], 10, 1_000)
    (rest,) = await heads.due_of_turns([mine.turn_id], [each.inbox_id for each in rows[:2]], 10, 1_000)

    assert sorted(each.name for each in rows) == ["go", "go", "sleep"]
    assert rest.inbox_id == rows[2].inbox_id
    assert len(await heads.due_of_turns([mine.turn_id], [], 10, 500)) < 3
    assert await heads.due_of_turns([], [], 10, 1_000) == []
