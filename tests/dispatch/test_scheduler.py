"""The scheduler: which turn starts next, told and asked without any I/O."""

from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from tests.dispatch.scheduled import OWNED, make_turn, picked_sessions


def test_only_the_head_of_a_session_is_picked_and_the_next_after_its_end() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    first, second = make_turn("s", 1), make_turn("s", 2)
    scheduler.accepted(first, is_head=True, read=Read())
    scheduler.accepted(second, is_head=False, read=Read())

    assert scheduler.pick() is first
    assert scheduler.pick() is None

    scheduler.ended(first)
    assert scheduler.pick() is second


def test_tenants_take_turns_however_much_one_of_them_has() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    for number in range(6):
        scheduler.accepted(make_turn(f"flood-{number}", number), is_head=True, read=Read())
    for number in range(2):
        scheduler.accepted(make_turn(f"calm-{number}", 100 + number, tenant="b"), is_head=True, read=Read())

    assert picked_sessions(scheduler)[:4] == ["flood-0", "calm-0", "flood-1", "calm-1"]


def test_within_a_tenant_priority_comes_first_and_then_age() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    scheduler.accepted(make_turn("late", 3), is_head=True, read=Read())
    scheduler.accepted(make_turn("early", 1), is_head=True, read=Read())
    scheduler.accepted(make_turn("urgent", 9, priority=5), is_head=True, read=Read())

    assert picked_sessions(scheduler) == ["urgent", "early", "late"]


def test_who_is_cancelled_comes_first_of_its_tenant_and_once_and_other_tenants_have_their_turns() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    cancelled = make_turn("cancelled", 7)
    for turn in (make_turn("a1", 1, priority=5), make_turn("a2", 2), cancelled, make_turn("b1", 3, tenant="b")):
        scheduler.accepted(turn, is_head=True, read=Read())
    scheduler.pick()

    scheduler.hurry(cancelled)

    assert picked_sessions(scheduler) == ["b1", "cancelled", "a2"]


def test_a_turn_that_has_its_slot_is_not_hurried() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    turn = make_turn("s", 1)
    scheduler.accepted(turn, is_head=True, read=Read())
    scheduler.pick()

    scheduler.hurry(turn)

    assert scheduler.pick() is None


def test_memory_holds_the_look_ahead_and_pages_the_rest_in() -> None:
    scheduler = Scheduler(look_ahead_turns=1)
    turns = [make_turn("s", place) for place in (1, 2, 3)]
    scheduler.accepted(turns[0], is_head=True, read=Read())
    for turn in turns[1:]:
        scheduler.accepted(turn, is_head=False, read=Read())
    assert len(scheduler.live) == 2

    for turn in turns[:2]:
        assert scheduler.pick() is turn
        scheduler.ended(turn)
    (session,) = scheduler.take_to_page(10)
    scheduler.paged(session, [turns[2]], is_all=True, is_held=False, is_stale=False)

    assert scheduler.pick() is turns[2]
    scheduler.ended(turns[2])
    assert not scheduler.sessions
    assert not scheduler.live


def test_nothing_behind_a_suspended_head_stays_in_memory() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    head, behind = make_turn("s", 1), make_turn("s", 2)
    scheduler.accepted(head, is_head=True, read=Read())
    scheduler.accepted(behind, is_head=False, read=Read())
    assert scheduler.pick() is head

    scheduler.left(head)
    scheduler.accepted(make_turn("s", 3), is_head=False, read=Read())

    assert not scheduler.live
    assert not scheduler.sessions
    assert scheduler.pick() is None


def test_a_turn_accepted_while_the_head_before_it_ends_is_not_lost() -> None:
    """The accept's snapshot still had the head; by the time of its answer memory has forgotten the session."""
    scheduler = Scheduler(look_ahead_turns=8)
    head, following = make_turn("s", 1), make_turn("s", 2)
    scheduler.accepted(head, is_head=True, read=Read())
    assert scheduler.pick() is head

    with scheduler.reads.begin() as read:
        scheduler.ended(head)
    scheduler.accepted(following, False, read)

    (session,) = scheduler.take_to_page(10)
    assert session.session_id == following.session_id


def test_a_turn_that_another_read_brought_and_that_left_before_its_accept_answered_is_not_started_again() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    turn, read_again = make_turn("s", 1), make_turn("s", 1)
    read_again.turn_id = turn.turn_id
    with scheduler.reads.begin() as read:
        scheduler.found(read_again)
        assert scheduler.pick() is read_again
        scheduler.left(read_again)

    scheduler.accepted(turn, True, read)

    assert scheduler.pick() is None
    assert [session.session_id for session in scheduler.take_to_page(10)] == [turn.session_id]


def test_a_turn_that_ends_by_its_inbox_before_its_accept_answered_is_not_started() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    turn, cancelled = make_turn("s", 1), make_turn("s", 1)
    cancelled.turn_id = turn.turn_id
    scheduler.live[turn.turn_id] = cancelled  # as Delivery does for one that is only in Postgres

    scheduler.accepted(turn, True, Read())

    assert scheduler.pick() is None
    assert scheduler.live == {turn.turn_id: cancelled}


def test_a_turn_whose_end_was_durable_before_its_accept_answered_is_not_started_behind_others() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    head, turn, cancelled = make_turn("s", 1), make_turn("s", 2), make_turn("s", 2)
    cancelled.turn_id = turn.turn_id
    scheduler.accepted(head, True, Read())
    with scheduler.reads.begin() as read:
        scheduler.live[turn.turn_id] = cancelled  # as Delivery does for one that is only in Postgres
        scheduler.removed(cancelled)

    scheduler.accepted(turn, False, read)

    assert scheduler.pick() is head
    scheduler.ended(head)
    assert scheduler.pick() is None
    assert [session.session_id for session in scheduler.take_to_page(10)] == [turn.session_id]


def test_a_turn_that_is_being_ended_stays_in_memory_when_its_session_leaves() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    head, ending, read_again = make_turn("s", 1), make_turn("s", 2), make_turn("s", 2)
    read_again.turn_id = ending.turn_id
    scheduler.accepted(head, True, Read())
    scheduler.accepted(ending, False, Read())
    ending.status = Status.CANCELLED
    scheduler.left(head)  # lent: its borrower ends it at once
    scheduler.more(head.session_id, 0, OWNED)
    (session,) = scheduler.take_to_page(10)

    scheduler.paged(session, [read_again], is_all=True, is_held=False, is_stale=False)
    assert scheduler.pick() is None

    scheduler.removed(ending)
    assert not scheduler.live
    assert [session.session_id for session in scheduler.take_to_page(10)] == [head.session_id]


def test_what_stands_behind_a_turn_that_is_being_ended_waits_for_that() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    turns = [make_turn("s", place) for place in (1, 2, 3)]
    scheduler.more(turns[0].session_id, 0, OWNED)
    (session,) = scheduler.take_to_page(10)
    scheduler.live[turns[1].turn_id] = turns[1]  # as Delivery does for one that is only in Postgres

    scheduler.paged(session, turns, is_all=True, is_held=False, is_stale=False)
    assert scheduler.pick() is turns[0]
    scheduler.ended(turns[0])
    assert scheduler.take_to_page(10) == [session]
    scheduler.paged(session, turns[1:], is_all=True, is_held=False, is_stale=False)

    assert not scheduler.sessions
    scheduler.removed(turns[1])
    (session,) = scheduler.take_to_page(10)
    scheduler.paged(session, turns[2:], is_all=True, is_held=False, is_stale=False)
    assert scheduler.pick() is turns[2]


def test_a_turn_accepted_while_its_session_is_paged_in_is_paged_in_again() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    turn = make_turn("s", 2)
    scheduler.more(turn.session_id, turn.bucket, OWNED)
    (session,) = scheduler.take_to_page(10)

    with scheduler.reads.begin() as read:
        scheduler.accepted(turn, True, Read())
    scheduler.paged(session, [], is_all=True, is_held=False, is_stale=session.session_id in read.grown)

    assert scheduler.take_to_page(10) == [session]


def test_a_lost_partition_takes_its_sessions_out_of_memory_and_no_other() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    other = Owned(1, epoch=1, buckets=(0, 0))
    lost, kept = make_turn("lost", 1), make_turn("kept", 2, owned=other)
    scheduler.accepted(lost, is_head=True, read=Read())
    scheduler.accepted(kept, is_head=True, read=Read())

    assert scheduler.void(OWNED) == [lost]

    assert scheduler.ready_count == 1
    assert scheduler.pick() is kept
    assert scheduler.pick() is None
