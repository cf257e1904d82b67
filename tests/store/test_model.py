"""accept, flush and claim beside a simple model of what a turn is: whatever is called in whatever order, they agree."""

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from argosy.store.numbered_stream import Answer
from argosy.turn.status import ENDED, HELD, OPEN, Status
from tests.store.conftest import BOTH_IN_FAULTS
from tests.store.hand import Change, Hand, New, flush_arguments
from tests.store.reachable import reachable

# A worker by its number; None: who owns the partitions, so that most calls have an effect.
WORKERS = st.sampled_from([None, None, None, 0, 1, 2])
FUTURE = datetime.now(UTC) + timedelta(days=1)
NEW = st.builds(
    New,
    session=st.sampled_from("abc"),
    on_busy=st.sampled_from(["enqueue", "enqueue", "reject"]),
    key=st.sampled_from(["", "", "k", "l"]),
    digest=st.sampled_from([b"1", b"2"]),
    not_before=st.sampled_from([None, None, FUTURE]),
)
ASK = """
  INSERT INTO starts (turn_id, lane, bucket, tenant, session_id, record) VALUES ($1, 'default', $2, 'acme', $3, 'r')
  ON CONFLICT DO NOTHING RETURNING 1
"""


@dataclass
class Modelled:
    new: New
    status: str
    attempt: int = 0
    seq: int = 0
    order: int | None = None
    reason: str | None = None
    duplicate_of: Any = None
    key: str = ""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN and self.order is not None

    @property
    def row(self) -> tuple[Any, ...]:
        return (self.status, self.attempt, self.seq, self.reason, self.duplicate_of, self.key or None)


@dataclass
class Model:
    turns: dict[Any, Modelled] = field(default_factory=dict)
    waiting: set[Any] = field(default_factory=set)  # started by another turn, and not accepted yet
    orders: Any = field(default_factory=itertools.count)

    def of_session(self, turn: New) -> list[Modelled]:
        return [each for each in self.turns.values() if each.new.session == turn.session]

    def accept(self, new: New) -> Modelled | None:
        """The new row; None when the turn is known."""
        if new.turn_id in self.turns:
            return None
        others = self.of_session(new)
        row = self.turns[new.turn_id] = Modelled(new, "queued", key=new.key)
        first = next((each for each in others if new.key and each.key == new.key), None)
        if first is not None and first.new.digest == new.digest:
            row.status, row.duplicate_of, row.key = "duplicate", first.new.turn_id, ""
        elif first is not None:
            row.status, row.reason, row.key, row.seq = "rejected", "idempotency_mismatch", "", 1
        elif new.not_before is None:
            self.place(row, others)
        return row

    def place(self, row: Modelled, others: list[Modelled]) -> None:
        if row.new.on_busy == "reject" and any(each.is_open for each in others if each is not row):
            row.status, row.reason, row.key, row.seq = "rejected", "busy", "", row.seq + 1
        else:
            row.order = next(self.orders)


class Store(RuleBasedStateMachine):
    """Three workers and one lane. A claim takes all partitions."""

    dsn = ""
    runner: asyncio.Runner
    turns: Bundle[New] = Bundle("turns")
    asked: Bundle[New] = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.hands = [self.run(Hand(self.dsn).open()) for _ in range(3)]
        for table in ("turns", "events", "inbox", "starts", "sessions", "positions", "partitions"):
            self.run(self.hands[0].rows(f"DELETE FROM {table}"))  # noqa: S608
        self.owner: dict[int, tuple[int, int]] = {}
        self.answers: dict[tuple[int, int], Answer] = {}
        self.claim(0)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        for each in self.hands:
            self.run(each.close())

    def number(self, worker: int | None) -> int:
        return self.owner[0][0] if worker is None else worker

    def is_held(self, worker: int, partition: int) -> bool:
        return self.owner[partition] == (worker, self.hands[worker].epochs.get(partition))

    @rule(worker=st.integers(0, 2))
    def claim(self, worker: int) -> None:
        for partition, epoch in self.run(self.hands[worker].claim()).items():
            assert partition not in self.owner or epoch > self.owner[partition][1]
            self.owner[partition] = (worker, epoch)

    @rule(
        target=turns,
        worker=WORKERS,
        batch=st.lists(NEW, min_size=1, max_size=5),
        again=st.lists(turns, max_size=2),
        is_behind=st.sampled_from([False, False, False, True]),
    )
    def accept(self, worker: int | None, batch: list[New], again: list[New], is_behind: bool) -> Any:
        """New records, and some that are known; sometimes from a position where the partition is not any more."""
        worker = self.number(worker)
        hand = self.hands[worker]
        records = [*batch[:2], *again, *batch[2:]]
        wrong = records[0].partition
        real = self.run(hand.position(wrong))
        answer = self.run(hand.accept(*records, at={wrong: real + 1} if is_behind else None))
        self.answers[worker, 1] = answer

        partitions = sorted({each.partition for each in records})
        held = [self.is_held(worker, each) and not (is_behind and each == wrong) for each in partitions]
        assert answer.held == held
        taken = dict(zip(partitions, held, strict=True))
        for index, each in enumerate(records):
            row = self.model.accept(each) if taken[each.partition] else None
            if any(held):
                assert answer.places is not None
                assert (answer.places[index] is not None) == (row is not None and row.order is not None)
        return multiple(*(each for each in batch if taken[each.partition]))

    @rule(target=asked, child=st.one_of(NEW, turns))
    def ask(self, child: New) -> New:
        """A turn is to be started; or one that is here is said again."""
        self.run(self.hands[0].rows(ASK, child.turn_id, child.bucket, child.session_id))
        self.model.waiting.add(child.turn_id)
        return child

    @rule(target=turns, worker=WORKERS, batch=st.lists(asked, min_size=1, max_size=5))
    def start(self, worker: int | None, batch: list[New]) -> Any:
        """Those that were asked for at some time, also such as were started since."""
        worker = self.number(worker)
        answer = self.answers[worker, 1] = self.run(self.hands[worker].start(*batch))

        partitions = sorted({each.partition for each in batch})
        taken = {each: self.is_held(worker, each) for each in partitions}
        assert answer.held == list(taken.values())
        came = []
        for index, each in enumerate(batch):
            is_here = taken[each.partition] and each.turn_id in self.model.waiting
            row = self.model.accept(each) if is_here else None
            came += [each] if row is not None else []
            if any(taken.values()):
                assert answer.places is not None
                assert (answer.places[index] is not None) == (row is not None and row.order is not None)
        self.model.waiting -= {each.turn_id for each in batch if taken[each.partition]}
        return multiple(*came)

    @rule(
        worker=WORKERS,
        turn=turns,
        status=st.sampled_from([each.value for each in Status if each not in ("accepted", "merged", "duplicate")]),
        is_wrong=st.integers(0, 7),
        events=st.integers(0, 2),
    )
    def flush(self, worker: int | None, turn: New, status: str, is_wrong: int, events: int) -> None:
        """is_wrong: 0, another attempt is expected than is there; 1, another seq; 2, the epoch is an older one."""
        worker = self.number(worker)
        hand, row = self.hands[worker], self.model.turns[turn.turn_id]
        old = (row.status, row.attempt + (is_wrong == 0), row.seq + (is_wrong == 1))
        change = Change(turn, old, status, row.attempt + 1, [("step.retrying", "s")] * events)
        epochs = {partition: epoch - (is_wrong == 2) for partition, epoch in hand.epochs.items()}
        call = flush_arguments(hand.lane, epochs, [change])
        is_allowed = (
            self.is_held(worker, turn.partition)
            and is_wrong > 2
            and row.status not in ENDED
            and status in reachable(Status(row.status))
        )
        others = [each for each in self.model.of_session(turn) if each is not row]
        if is_allowed and status in HELD and (row.order is None or any(each.status in HELD for each in others)):
            try:
                self.run(hand.call(2, *call))
            except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError):
                return
            raise AssertionError("a second turn holds the session, or one without a place does")
        answer = self.run(hand.call(2, *call))
        self.answers[worker, 2] = answer
        assert answer.held == [self.is_held(worker, turn.partition) and is_wrong != 2]
        assert (answer.applied is None) == is_allowed
        if is_allowed:
            row.status, row.attempt, row.seq = status, change.attempt, change.seq

    @rule(worker=WORKERS, turn=turns)
    def fall_due(self, worker: int | None, turn: New) -> None:
        worker = self.number(worker)
        hand, row = self.hands[worker], self.model.turns[turn.turn_id]
        self.answers[worker, 2] = self.run(hand.flush(placements=[turn]))
        if self.is_held(worker, turn.partition) and row.status == "queued" and row.order is None:
            self.model.place(row, self.model.of_session(turn))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        worker, stream = data.draw(st.sampled_from(sorted(self.answers)))
        hand = self.hands[worker]
        if hand.last[stream] and hand.nos[stream]:
            assert self.run(hand.repeat(stream)) == self.answers[worker, stream]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.run(self.hands[0].rows(query))
        return rows

    @invariant()
    def they_agree(self) -> None:
        rows = self.rows("SELECT turn_id, status, attempt, seq, reason, duplicate_of, idempotency_key FROM turns")
        assert {row[0]: row[1:] for row in rows} == {key: each.row for key, each in self.model.turns.items()}

    @invariant()
    def what_was_asked_for_waits_until_it_is_started(self) -> None:
        assert {row[0] for row in self.rows("SELECT turn_id FROM starts")} == self.model.waiting

    @invariant()
    def turns_stand_in_their_order(self) -> None:
        rows = self.rows("SELECT turn_id FROM turns WHERE place IS NOT NULL ORDER BY place")
        placed = [each for each in self.model.turns.values() if each.order is not None]
        placed.sort(key=lambda each: each.order or 0)
        assert [row[0] for row in rows] == [each.new.turn_id for each in placed]

    @invariant()
    def every_history_is_numbered_without_gaps(self) -> None:
        rows = self.rows(
            "SELECT t.turn_id FROM turns AS t LEFT JOIN events AS e USING (turn_id)"
            " GROUP BY t.turn_id, t.seq HAVING count(e.seq) <> t.seq OR coalesce(max(e.seq), 0) <> t.seq"
        )
        assert rows == []


@BOTH_IN_FAULTS
def test_the_database_does_what_the_model_says(store_dsn: str) -> None:
    with asyncio.Runner() as runner:
        machine = type("Machine", (Store,), {"dsn": store_dsn, "runner": runner})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=30,
                stateful_step_count=25,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
