"""The scheduler: which turn starts next, told and asked without any I/O."""

import uuid
from collections import defaultdict, deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.scheduling.session import Session
from argosy.workers.dispatch.turn import Turn

OWNED = Owned(0, epoch=1, buckets=(0, 1023))


def make_turn(session: str, place: int, *, tenant: str = "a", priority: int = 0, owned: Owned = OWNED) -> Turn:
    return Turn(
        owned=owned,
        turn_id=uuid.uuid4(),
        tenant=tenant,
        session_id=uuid.uuid5(uuid.NAMESPACE_OID, session),
        session_name=session,
        bucket=0,
        place=place,
        workflow="echo",
        priority=priority,
        input=b"null",
    )


def picked_sessions(scheduler: Scheduler) -> list[str]:
    picked = []
    while (turn := scheduler.pick()) is not None:
        picked.append(turn.session_name)
    return picked


def test_only_the_head_of_a_session_is_picked_and_the_next_after_its_end() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    first, second = make_turn("s", 1), make_turn("s", 2)
    scheduler.accepted(first, is_head=True)
    scheduler.accepted(second, is_head=False)

    assert scheduler.pick() is first
    assert scheduler.pick() is None

    scheduler.ended(first)
    assert scheduler.pick() is second


def test_tenants_take_turns_however_much_one_of_them_has() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    for number in range(6):
        scheduler.accepted(make_turn(f"flood-{number}", number), is_head=True)
    for number in range(2):
        scheduler.accepted(make_turn(f"calm-{number}", 100 + number, tenant="b"), is_head=True)

    assert picked_sessions(scheduler)[:4] == ["flood-0", "calm-0", "flood-1", "calm-1"]


def test_within_a_tenant_priority_comes_first_and_then_age() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    scheduler.accepted(make_turn("late", 3), is_head=True)
    scheduler.accepted(make_turn("early", 1), is_head=True)
    scheduler.accepted(make_turn("urgent", 9, priority=5), is_head=True)

    assert picked_sessions(scheduler) == ["urgent", "early", "late"]


def test_who_is_cancelled_comes_first_of_its_tenant_and_once_and_other_tenants_have_their_turns() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    cancelled = make_turn("cancelled", 7)
    for turn in (make_turn("a1", 1, priority=5), make_turn("a2", 2), cancelled, make_turn("b1", 3, tenant="b")):
        scheduler.accepted(turn, is_head=True)
    scheduler.pick()

    scheduler.hurry(cancelled)

    assert picked_sessions(scheduler) == ["b1", "cancelled", "a2"]


def test_a_turn_that_has_its_slot_is_not_hurried() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    turn = make_turn("s", 1)
    scheduler.accepted(turn, is_head=True)
    scheduler.pick()

    scheduler.hurry(turn)

    assert scheduler.pick() is None


def test_memory_holds_the_look_ahead_and_pages_the_rest_in() -> None:
    scheduler = Scheduler(look_ahead_turns=1)
    turns = [make_turn("s", place) for place in (1, 2, 3)]
    scheduler.accepted(turns[0], is_head=True)
    for turn in turns[1:]:
        scheduler.accepted(turn, is_head=False)
    assert len(scheduler.live) == 2

    for turn in turns[:2]:
        assert scheduler.pick() is turn
        scheduler.ended(turn)
    (session,) = scheduler.take_to_page(10)
    scheduler.paged(session, [turns[2]], is_all=True, is_held=False)

    assert scheduler.pick() is turns[2]
    scheduler.ended(turns[2])
    assert not scheduler.sessions
    assert not scheduler.live


def test_nothing_behind_a_suspended_head_stays_in_memory() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    head, behind = make_turn("s", 1), make_turn("s", 2)
    scheduler.accepted(head, is_head=True)
    scheduler.accepted(behind, is_head=False)
    assert scheduler.pick() is head

    scheduler.left(head)
    scheduler.accepted(make_turn("s", 3), is_head=False)

    assert not scheduler.live
    assert not scheduler.sessions
    assert scheduler.pick() is None


def test_a_turn_accepted_while_the_head_before_it_ends_is_not_lost() -> None:
    """The accept's snapshot still had the head; by the time of its answer memory has forgotten the session."""
    scheduler = Scheduler(look_ahead_turns=8)
    head, following = make_turn("s", 1), make_turn("s", 2)
    scheduler.accepted(head, is_head=True)
    assert scheduler.pick() is head

    scheduler.accept_begins([following.session_id])
    scheduler.ended(head)
    scheduler.accepted(following, is_head=False)
    scheduler.accept_ends()

    (session,) = scheduler.take_to_page(10)
    assert session.session_id == following.session_id


def test_a_turn_accepted_while_its_session_is_paged_in_is_paged_in_again() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    turn = make_turn("s", 2)
    scheduler.more(turn.session_id, turn.bucket, OWNED)
    (session,) = scheduler.take_to_page(10)

    scheduler.accepted(turn, is_head=True)
    scheduler.paged(session, [], is_all=True, is_held=False)

    assert scheduler.take_to_page(10) == [session]


def test_a_lost_partition_takes_its_sessions_out_of_memory_and_no_other() -> None:
    scheduler = Scheduler(look_ahead_turns=8)
    other = Owned(1, epoch=1, buckets=(0, 0))
    lost, kept = make_turn("lost", 1), make_turn("kept", 2, owned=other)
    scheduler.accepted(lost, is_head=True)
    scheduler.accepted(kept, is_head=True)

    assert scheduler.void(OWNED) == [lost]

    assert scheduler.ready_count == 1
    assert scheduler.pick() is kept
    assert scheduler.pick() is None


class SchedulerMachine(RuleBasedStateMachine):
    """Postgres is a list per session; the scheduler must start each session's turns in order, one at a time, all."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(look_ahead_turns=2)
        self.stored: dict[str, deque[Turn]] = defaultdict(deque)  # what has not ended, in order
        self.running: dict[str, Turn] = {}
        self.suspended: set[str] = set()
        self.paging: list[tuple[Session, str, list[Turn]]] = []
        self.accepting: list[tuple[Turn, bool]] | None = None
        self.place = 0
        self.started: dict[str, list[int]] = defaultdict(list)

    @rule(sessions=st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
    def begin_accept(self, sessions: list[str]) -> None:
        if self.accepting is not None:
            return
        self.accepting = []
        for session in sessions:
            self.place += 1
            turn = make_turn(session, self.place)
            self.accepting.append((turn, not self.stored[session]))
            self.stored[session].append(turn)
        self.scheduler.accept_begins(turn.session_id for turn, _ in self.accepting)

    @rule()
    def answer_accept(self) -> None:
        if self.accepting is not None:
            for turn, is_head in self.accepting:
                self.scheduler.accepted(turn, is_head)
            self.scheduler.accept_ends()
            self.accepting = None

    @rule()
    def start_one(self) -> None:
        turn = self.scheduler.pick()
        if turn is not None:
            session = turn.session_name
            assert session not in self.running
            assert session not in self.suspended
            assert self.stored[session][0].turn_id == turn.turn_id
            self.running[session] = turn
            self.started[session].append(turn.place)

    @rule(session=st.sampled_from("abc"))
    def cancel(self, session: str) -> None:
        head = self.scheduler.head_of(uuid.uuid5(uuid.NAMESPACE_OID, session))
        if head is not None:
            self.scheduler.hurry(head)

    @rule(session=st.sampled_from("abc"))
    def end(self, session: str) -> None:
        turn = self.running.pop(session, None)
        if turn is not None:
            self.stored[session].popleft()
            self.scheduler.ended(turn)

    @rule(session=st.sampled_from("abc"))
    def suspend(self, session: str) -> None:
        turn = self.running.pop(session, None)
        if turn is not None:
            self.suspended.add(session)
            self.scheduler.left(turn)

    @rule(session=st.sampled_from("abc"))
    def wake(self, session: str) -> None:
        if session in self.suspended:
            turn = make_turn(session, self.stored[session][0].place)
            turn.turn_id = self.stored[session][0].turn_id
            turn.status = Status.SUSPENDED
            if self.scheduler.found(turn):
                self.suspended.discard(session)

    @rule()
    def read_pages(self) -> None:
        for session in self.scheduler.take_to_page(10):
            name = next(name for name in "abc" if make_turn(name, 0).session_id == session.session_id)
            self.paging.append((session, name, list(self.stored[name])[:3]))

    @rule()
    def answer_pages(self) -> None:
        for session, name, seen in self.paging:
            is_held = bool(seen) and (name in self.suspended or seen[0].status is not Status.QUEUED)
            absent = [turn for turn in seen if turn.turn_id not in self.scheduler.live]
            self.scheduler.paged(session, absent, is_all=len(seen) < 3, is_held=is_held)
        self.paging = []

    @invariant()
    def what_started_came_in_order(self) -> None:
        for places in self.started.values():
            assert places == sorted(places)

    def teardown(self) -> None:
        """Whatever happened: once everybody answers, every turn runs."""
        for _ in range(500):
            self.answer_accept()
            self.read_pages()
            self.answer_pages()
            for session in "abc":
                self.wake(session)
                self.start_one()
            for session in "abc":
                self.end(session)
        assert not any(self.stored.values())


SchedulerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSchedulerMachine = SchedulerMachine.TestCase
