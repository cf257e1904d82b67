"""The scheduler: which turn starts next, told and asked without any I/O."""

import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from argosy.turn.status import Status
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.signals import Signal
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


@dataclass
class Row:
    """A turn as Postgres had it when it was read. rests: it is suspended or lent. has_signal: one waits for it."""

    turn: Turn
    rests: bool
    has_signal: bool


@dataclass
class Asked:
    """A read or an accept that is under way. what: each turn of the accept and whether it is a head, or the rows."""

    read: Read
    end: Callable[[], object]
    what: list[Any]


class SchedulerMachine(RuleBasedStateMachine):
    """Postgres is a list per session; the scheduler must start each session's turns in order, one at a time, all.

    Answers come late, and each is used as the parts of a worker use it (Intake, Pager, Delivery). Meanwhile turns run,
    rest, are lent to a borrower that ends them, are ended by their inbox, and get signals.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(look_ahead_turns=2)
        self.stored: dict[str, deque[Turn]] = defaultdict(deque)  # what has not ended, in order
        self.signalled: set[uuid.UUID] = set()  # turns for which Postgres has a signal
        self.running: dict[str, Turn] = {}
        self.suspended: set[str] = set()
        self.lent: set[str] = set()  # sessions of which another worker runs the head
        self.given_back: set[str] = set()  # those of which it has ended the head, and the owner does not know it yet
        self.ending: list[Turn] = []  # those that a row of their inbox ended; that is not durable yet
        self.accept: Asked | None = None
        self.is_committed = False
        self.pages: Asked | None = None
        self.heads: Asked | None = None
        self.place = 0
        self.started: dict[str, list[int]] = defaultdict(list)

    def ask(self, what: list[Any]) -> Asked:
        stack = ExitStack()
        return Asked(stack.enter_context(self.scheduler.reads.begin()), stack.close, what)

    def rows(self, session: str, limit: int) -> list[Row]:
        rests = session in self.suspended or session in self.lent
        return [
            Row(turn, rests and number == 0, turn.turn_id in self.signalled)
            for number, turn in enumerate(islice(self.stored[session], limit))
        ]

    def turn_of(self, row: Row, read: Read) -> Turn:
        turn = make_turn(row.turn.session_name, row.turn.place)
        turn.turn_id = row.turn.turn_id
        turn.needs_load = row.has_signal or turn.turn_id in read.taken
        return turn

    @initialize(sessions=st.lists(st.sampled_from("abc"), max_size=9))
    def claim(self, sessions: list[str]) -> None:
        """These turns wait in Postgres when the partition is claimed."""
        for session in sessions:
            self.place += 1
            self.stored[session].append(make_turn(session, self.place))
        self.read_heads()

    @rule(sessions=st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
    def begin_accept(self, sessions: list[str]) -> None:
        if self.accept is not None:
            return
        self.accept, self.is_committed = self.ask([]), False
        for session in sessions:
            self.place += 1
            is_head = not self.stored[session] and session not in [turn.session_name for turn, _ in self.accept.what]
            self.accept.what.append((make_turn(session, self.place), is_head))

    @rule()
    def commit_accept(self) -> None:
        if self.accept is not None and not self.is_committed:
            self.is_committed = True
            for turn, _ in self.accept.what:
                self.stored[turn.session_name].append(turn)

    @rule()
    def answer_accept(self) -> None:
        if self.accept is not None:
            self.commit_accept()
            self.accept.end()
            for turn, is_head in self.accept.what:
                self.scheduler.accepted(turn, is_head, self.accept.read)
            self.accept = None

    @rule()
    def start_one(self) -> None:
        turn = self.scheduler.pick()
        if turn is not None and not turn.has_ended:
            session = turn.session_name
            assert session not in self.running
            assert session not in self.suspended
            assert session not in self.lent
            assert self.stored[session][0].turn_id == turn.turn_id
            assert turn.turn_id not in self.signalled or turn.needs_load or list(turn.signals)
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
            if self.stored[session][0].turn_id in self.scheduler.live:
                return  # it is being ended
            turn = make_turn(session, self.stored[session][0].place)
            turn.turn_id = self.stored[session][0].turn_id
            turn.status, turn.needs_load = Status.SUSPENDED, True
            if self.scheduler.found(turn):
                self.suspended.discard(session)

    @rule(session=st.sampled_from("abc"))
    def lend(self, session: str) -> None:
        turn = self.running.pop(session, None)
        if turn is not None:
            self.lent.add(session)
            self.scheduler.left(turn)

    @rule(session=st.sampled_from("abc"))
    def borrower_ends(self, session: str) -> None:
        if session in self.lent:
            self.lent.discard(session)
            self.given_back.add(session)
            self.stored[session].popleft()

    @rule(session=st.sampled_from("abc"))
    def hear_of_borrower(self, session: str) -> None:
        if session in self.given_back:
            self.given_back.discard(session)
            self.scheduler.more(uuid.uuid5(uuid.NAMESPACE_OID, session), 0, OWNED)

    @rule(session=st.sampled_from("abc"), number=st.integers(0, 4))
    def signal(self, session: str, number: int) -> None:
        """A signal that no wait takes yet: it is delivered, or buffered when its turn is not in memory."""
        rests = session in self.suspended or session in self.lent
        if len(self.stored[session]) <= number or (rests and number == 0):
            return
        turn_id = self.stored[session][number].turn_id
        self.signalled.add(turn_id)
        if (turn := self.scheduler.live.get(turn_id)) is None:
            self.scheduler.reads.took(turn_id)
        else:
            turn.receive(Signal(uuid.uuid4(), "go", b"1"))

    @rule(session=st.sampled_from("abc"), number=st.integers(0, 2))
    def end_by_inbox(self, session: str, number: int) -> None:
        """A cancel or a deadline of a turn of which nothing runs."""
        if len(self.stored[session]) <= number or (number == 0 and (session in self.lent or session in self.running)):
            return
        row = self.stored[session][number]
        turn = self.scheduler.live.get(row.turn_id)
        if turn is None:
            turn = make_turn(session, row.place)
            turn.turn_id = row.turn_id
            self.scheduler.live[turn.turn_id] = turn
        if not turn.has_ended:
            turn.status = Status.CANCELLED
            self.ending.append(turn)

    @rule()
    def commit_end(self) -> None:
        """The flush with the ends is durable."""
        for turn in self.ending:
            stored = self.stored[turn.session_name]
            if stored[0].turn_id == turn.turn_id:
                self.suspended.discard(turn.session_name)
            self.stored[turn.session_name] = deque(each for each in stored if each.turn_id != turn.turn_id)
            self.scheduler.removed(turn)
        self.ending.clear()

    @rule()
    def read_pages(self) -> None:
        if self.pages is None:
            self.pages = self.ask([])
            for session in self.scheduler.take_to_page(10):
                name = next(name for name in "abc" if make_turn(name, 0).session_id == session.session_id)
                self.pages.what.append((session, self.rows(name, 3)))

    @rule(fails=st.booleans())
    def answer_pages(self, fails: bool) -> None:
        if self.pages is None:
            return
        self.pages.end()
        read = self.pages.read
        for session, rows in self.pages.what:
            is_stale = fails or session.session_id in read.grown or any(row.turn.turn_id in read.left for row in rows)
            turns = [self.turn_of(row, read) for row in rows]
            is_held = bool(rows) and rows[0].rests
            self.scheduler.paged(session, turns, is_all=len(rows) < 3, is_held=is_held, is_stale=is_stale)
        self.pages = None

    @rule()
    def read_heads(self) -> None:
        if self.heads is None:
            self.heads = self.ask([row for session in "abc" for row in self.rows(session, 1)])

    @rule()
    def answer_heads(self) -> None:
        if self.heads is None:
            return
        self.heads.end()
        for row in self.heads.what:
            if row.turn.session_id in self.heads.read.left:
                self.scheduler.more(row.turn.session_id, 0, OWNED)
            elif not row.rests and row.turn.turn_id not in self.scheduler.live:
                self.scheduler.found(self.turn_of(row, self.heads.read))
        self.heads = None

    @invariant()
    def what_started_came_in_order(self) -> None:
        for places in self.started.values():
            assert places == sorted(places)

    def teardown(self) -> None:
        """Whatever happened: once everybody answers, every turn runs."""
        for _ in range(500):
            self.answer_accept()
            self.commit_end()
            self.answer_heads()
            self.read_pages()
            self.answer_pages(fails=False)
            for session in "abc":
                self.wake(session)
                self.borrower_ends(session)
                self.hear_of_borrower(session)
                self.start_one()
            for session in "abc":
                self.end(session)
        assert not any(self.stored.values())


SchedulerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSchedulerMachine = SchedulerMachine.TestCase
