"""The scheduler does what a model of its sessions says, whatever it is told in whatever order."""

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
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.signals import Signal
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.scheduled import OWNED, make_turn


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
