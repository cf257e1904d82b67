"""A batch of the log becomes turns: every record exactly one row, whatever comes twice."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.store.conftest import OpenHand
from tests.store.hand import LOG, TENANT, Change, Hand, New

PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(hours=1)


def two_partitions() -> tuple[New, New]:
    """Two turns whose sessions lie in different partitions."""
    first = New("a")
    return first, next(each for n in range(100) if (each := New(f"b{n}")).partition != first.partition)


async def test_a_batch_becomes_turns_in_its_order(hand: Hand) -> None:
    turns = [New("a"), New("b"), New("a")]

    answer = await hand.accept(*turns)

    assert answer.places is not None
    assert all(place is not None for place in answer.places)
    assert answer.places == sorted(answer.places)  # type: ignore[type-var]
    assert answer.heads == [True, True, False]
    assert await hand.position(turns[0].partition) == sum(each.partition == turns[0].partition for each in turns)


async def test_an_accept_sent_twice_is_applied_once_and_answered_the_same(hand: Hand) -> None:
    first = await hand.accept(New("a"), New("a"))

    again = await hand.repeat(1)

    assert again == first
    assert await hand.rows("SELECT count(*) FROM turns") == [(2,)]


async def test_the_whole_log_read_again_changes_nothing(hand: Hand) -> None:
    turns = [
        New("a", key="k", deadline_s=60), New("a", key="k"), New("a", on_busy="reject"), New("a", not_before=FUTURE),
        New("b"),
    ]  # fmt: skip
    await hand.accept(*turns)
    before = await hand.rows("SELECT * FROM turns ORDER BY turn_id"), await hand.rows("SELECT * FROM inbox ORDER BY 1")
    await hand.open_positions("the log made again")

    answer = await hand.accept(*turns, log="the log made again")

    after = await hand.rows("SELECT * FROM turns ORDER BY turn_id"), await hand.rows("SELECT * FROM inbox ORDER BY 1")
    assert after == before
    assert answer.places == [None] * len(turns)
    assert answer.heads == [False] * len(turns)


async def test_a_record_that_stands_twice_in_a_batch_is_one_turn(hand: Hand) -> None:
    plain, keyed = New("a"), New("b", key="k")

    await hand.accept(plain, plain)
    await hand.accept(keyed, keyed)

    assert await hand.rows("SELECT status, count(*) FROM turns GROUP BY 1") == [("queued", 2)]


async def test_a_position_moves_only_from_where_it_is_believed_to_be(hand: Hand) -> None:
    turn = New("a")

    answer = await hand.accept(turn, at={turn.partition: 7})

    assert answer.held == [False]
    assert await hand.turn(turn) is None
    assert await hand.position(turn.partition) == 0


async def test_a_partition_that_is_not_held_is_left_out_whole_and_others_go_on(hand: Hand, open_hand: OpenHand) -> None:
    lost, kept = two_partitions()
    other = await open_hand()
    await other.claim(lost.partition)

    answer = await hand.accept(lost, kept, dead=[(lost.partition, 1, b"?", "bad", "unreadable")])

    assert dict(zip(sorted({lost.partition, kept.partition}), answer.held or [], strict=True)) == {
        lost.partition: False,
        kept.partition: True,
    }
    assert await hand.turn(lost) is None
    assert await hand.rows("SELECT count(*) FROM sessions WHERE name = 'a'") == [(0,)]
    assert await hand.rows("SELECT count(*) FROM dead_letters") == [(0,)]
    assert await hand.status(kept) == "queued"
    assert await hand.position(lost.partition) == 0


async def test_a_record_that_cannot_be_a_turn_is_kept_aside_and_passed(hand: Hand) -> None:
    turn = New("a")

    await hand.accept(turn, dead=[(turn.partition, 1, b"?", "bad", "unreadable")])

    assert await hand.position(turn.partition) == 2
    assert await hand.rows("SELECT log_id, position, value, code FROM dead_letters") == [(LOG, 1, b"?", "bad")]


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_a_key_used_again_with_the_same_body_is_a_duplicate_of_the_first(hand: Hand, is_one_batch: bool) -> None:
    first, second = New("a", key="k", digest=b"d"), New("a", key="k", digest=b"d")

    for batch in [(first, second)] if is_one_batch else [(first,), (second,)]:
        answer = await hand.accept(*batch)

    row = await hand.turn(second)
    assert (row["status"], row["duplicate_of"], row["place"]) == ("duplicate", first.turn_id, None)
    assert answer.places is not None
    assert answer.places[-1] is None
    assert await hand.status(first) == "queued"


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_a_key_used_again_with_another_body_is_rejected(hand: Hand, is_one_batch: bool) -> None:
    first, second = New("a", key="k", digest=b"d"), New("a", key="k", digest=b"other")

    for batch in [(first, second)] if is_one_batch else [(first,), (second,)]:
        await hand.accept(*batch)

    row = await hand.turn(second)
    assert (row["status"], row["reason"], row["seq"]) == ("rejected", "idempotency_mismatch", 1)
    assert await hand.rows("SELECT seq, type FROM events") == [(1, "turn.rejected")]


async def test_a_key_belongs_to_its_session(hand: Hand) -> None:
    first, second = New("a", key="k"), New("b", key="k")

    await hand.accept(first, second)

    assert await hand.status(second) == "queued"


async def test_a_turn_that_does_not_want_to_wait_is_rejected_by_a_busy_session(hand: Hand) -> None:
    first, second = New("a"), New("a", on_busy="reject")

    await hand.accept(first, second)

    row = await hand.turn(second)
    assert (row["status"], row["reason"]) == ("rejected", "busy")


async def test_an_idle_session_takes_a_turn_that_does_not_want_to_wait(hand: Hand) -> None:
    done, turn = New("a"), New("a", on_busy="reject")
    await hand.accept(done)
    await hand.flush(Change(done, ("queued", 0, 0), "completed", events=[("turn.completed", "")]))

    answer = await hand.accept(turn)

    assert await hand.status(turn) == "queued"
    assert answer.heads == [True]


async def test_a_key_of_a_turn_rejected_as_busy_is_free_again(hand: Hand) -> None:
    busy, first, second = New("a"), New("a", on_busy="reject", key="k"), New("a", key="k")
    await hand.accept(busy, first)

    await hand.accept(second)

    assert await hand.status(first) == "rejected"
    assert await hand.status(second) == "queued"


async def test_the_key_is_judged_before_the_business_of_the_session(hand: Hand) -> None:
    first, second = New("a", key="k"), New("a", key="k", on_busy="reject")

    await hand.accept(first, second)

    assert await hand.status(second) == "duplicate"


async def test_a_delayed_turn_has_no_place_and_a_timer(hand: Hand) -> None:
    delayed, after = New("a", not_before=FUTURE, deadline_s=5), New("a", on_busy="reject")

    answer = await hand.accept(delayed, after)

    assert answer.heads == [False, True]
    assert answer.places is not None
    assert answer.places[0] is None
    assert await hand.rows("SELECT kind, name, due_at FROM inbox") == [("timer", "not_before", FUTURE)]


async def test_a_turn_whose_time_has_come_already_is_not_delayed(hand: Hand) -> None:
    answer = await hand.accept(New("a", not_before=PAST))

    assert answer.heads == [True]
    assert await hand.rows("SELECT count(*) FROM inbox") == [(0,)]


async def test_a_deadline_is_a_timer(hand: Hand) -> None:
    await hand.accept(New("a", deadline_s=60))

    rows = await hand.rows("SELECT name, extract(epoch FROM due_at - now())::integer BETWEEN 50 AND 60 FROM inbox")
    assert rows == [("deadline", True)]


async def test_what_postgres_refuses_changes_nothing_and_uses_no_number(hand: Hand) -> None:
    good, bad = New("a"), New("a", on_busy="dance")

    with pytest.raises(asyncpg.CheckViolationError):
        await hand.accept(good, bad)

    assert await hand.rows("SELECT count(*) FROM turns") == [(0,)]
    assert await hand.position(good.partition) == 0
    await hand.accept(good)
    assert hand.nos[1] == 1


@pytest.mark.parametrize("no", [0, 1, 4, 101])  # 2 is a repetition, 3 would follow
async def test_a_number_that_does_not_follow_is_refused(hand: Hand, no: int) -> None:
    turn = New("a")
    await hand.accept(turn)
    await hand.accept()

    with pytest.raises(asyncpg.PostgresError) as refused:
        await hand.send(1, no, hand.last[1])

    assert refused.value.sqlstate == "AR001"


async def test_a_stream_that_the_database_does_not_know_is_refused(hand: Hand) -> None:
    hand.worker_id = uuid.uuid4()

    with pytest.raises(asyncpg.PostgresError) as refused:
        await hand.accept()

    assert refused.value.sqlstate == "AR001"


async def test_accepted_through_never_goes_back(hand: Hand) -> None:
    arguments = [hand.lane, LOG, [0], [hand.epochs[0]], [0], [0], [FUTURE], *([[]] * 22)]
    await hand.call(1, *arguments)
    await hand.call(1, *arguments[:6], [PAST], *([[]] * 22))
    await hand.call(1, *arguments[:6], [None], *([[]] * 22))

    assert await hand.rows("SELECT accepted_through FROM positions WHERE partition = 0") == [(FUTURE,)]


async def early(hand: Hand, turn: New, kind: str = "cancel", tenant: str | None = None) -> None:
    sent = uuid.uuid4(), hand.lane, turn.bucket, tenant or TENANT, turn.turn_id, kind
    query = "SELECT * FROM send_early($1, $2, $3, $4::smallint, $5, $6, $7, $8, $9, '1', 10, 1000)"
    await hand.rows(query, turn.partition, *sent, "go" if kind == "signal" else "", kind)


@pytest.mark.parametrize(
    "how",
    [{}, {"not_before": FUTURE}, {"on_busy": "reject"}, {"key": "k"}],
    ids=["plain", "delayed", "rejecting", "keyed"],
)
async def test_a_turn_whose_cancel_came_before_it_is_accepted_as_cancelled(hand: Hand, how: dict[str, Any]) -> None:
    running, turn, behind = New("a"), New("a", deadline_s=60, **how), New("a")
    await hand.accept(running)
    await early(hand, turn)
    await early(hand, turn, "signal")

    answer = await hand.accept(turn, behind)

    row = await hand.turn(turn)
    assert (row["status"], row["seq"], row["attempt"], row["ended_at"] is None) == ("cancelled", 1, 0, False)
    assert answer.places is not None
    assert [place is None for place in answer.places] == [True, False]
    assert await hand.rows("SELECT turn_id, seq, type FROM events") == [(turn.turn_id, 1, "turn.cancelled")]
    said = await hand.rows("SELECT kind, state FROM inbox WHERE turn_id = $1 ORDER BY kind", turn.turn_id)
    assert said == [("cancel", "consumed"), ("signal", "late")]
    assert await hand.status(behind) == "queued"


async def test_a_cancelled_turn_s_key_is_taken_and_a_repetition_is_its_duplicate(hand: Hand) -> None:
    first, second = New("a", key="k", digest=b"d"), New("a", key="k", digest=b"d")
    await early(hand, first)

    await hand.accept(first, second)

    assert [await hand.status(each) for each in (first, second)] == ["cancelled", "duplicate"]


async def test_another_tenant_s_cancel_that_came_early_ends_nothing(hand: Hand) -> None:
    turn = New("a")
    await early(hand, turn, tenant="somebody-else")

    answer = await hand.accept(turn)

    assert (await hand.status(turn), answer.heads) == ("queued", [True])
    assert await hand.rows("SELECT count(*) FROM inbox") == [(0,)]
    assert await hand.rows("SELECT count(*) FROM early") == [(0,)]


async def test_a_turn_that_another_turn_started_is_cancelled_by_its_worker_which_tells_the_starter(hand: Hand) -> None:
    turn = New("a")
    started = "INSERT INTO starts (turn_id, lane, bucket, tenant, session_id, record) VALUES ($1, $2, $3, $4, $5, '')"
    await hand.rows(started, turn.turn_id, hand.lane, turn.bucket, TENANT, turn.session_id)
    await early(hand, turn)

    await hand.start(turn)

    assert await hand.status(turn) == "queued"
    assert await hand.rows("SELECT kind, state FROM inbox WHERE turn_id = $1", turn.turn_id) == [("cancel", "due")]
