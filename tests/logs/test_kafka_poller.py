"""A record belongs to the reading under which it was polled (docs/architecture.md, "Ownership and fencing"): forced."""

import pytest
from confluent_kafka import KafkaError

from argosy.clock import SystemClock
from argosy.logs.kafka_poller import ROUNDS_MAX, Poller, Round
from tests.logs.fake_consumer import FakeConsumer, FakeMessage


class Thread:
    """Plays the poller's thread, one poll at a time."""

    def __init__(self) -> None:
        self.consumer = FakeConsumer()
        self.rounds: list[Round] = []
        self.poller = Poller("topic", 400, SystemClock(), self)
        self.poller.begin()

    def make_consumer(self) -> FakeConsumer:
        """See LoopSide."""
        return self.consumer

    def hand_over(self, found: Round) -> None:
        """See LoopSide."""
        self.rounds.append(found)

    def run(self, times: int = 1, *, is_taken: bool = True) -> None:
        for _ in range(times):
            before = len(self.rounds)
            self.poller.run_once()
            if is_taken:
                for _ in self.rounds[before:]:
                    self.poller.taken()

    def assigned(self, *partitions: int) -> None:
        self.consumer.script.append(lambda: self.consumer.rebalance("on_assign", *partitions))
        self.run()

    @property
    def seen(self) -> list[tuple[int, int, list[int]]]:
        """(partition, reading_no, positions) of every batch."""
        return [
            (batch.partition, batch.reading_no, [record.position for record in batch.records])
            for each in self.rounds
            for batch in each.batches
        ]

    @property
    def spans(self) -> list[tuple[int, int, bool]]:
        """(begin, end, is_fresh) of every batch."""
        return [(batch.begin, batch.end, batch.is_fresh) for each in self.rounds for batch in each.batches]


@pytest.fixture
def thread() -> Thread:
    return Thread()


def messages(partition: int, *offsets: int) -> list[FakeMessage]:
    return [FakeMessage(partition, offset) for offset in offsets]


def test_what_was_polled_before_a_seek_keeps_the_old_reading_although_the_new_one_was_asked_for_meanwhile(
    thread: Thread,
) -> None:
    """A spike lost one turn in 35,000 like this: it polled 6, then carried out the new reading's seek to 5, and only
    then tagged 6: with the new reading.
    """
    thread.assigned(0)
    thread.poller.read(0, 5, reading_no=1)

    def while_a_new_reading_is_asked_for() -> list[FakeMessage]:
        thread.poller.read(0, 5, reading_no=2)
        return messages(0, 5, 6)

    thread.consumer.script.append(while_a_new_reading_is_asked_for)
    thread.consumer.plays(*messages(0, 5, 6, 7))
    thread.run(2)

    assert thread.seen == [(0, 1, [5, 6]), (0, 2, [5, 6, 7])]
    assert [call for call in thread.consumer.calls if call[0] == "seek"] == [("seek", 0, 5), ("seek", 0, 5)]


def test_a_batch_says_where_it_begins_and_ends_and_whether_the_reader_has_just_gone_there(thread: Thread) -> None:
    thread.assigned(0)
    thread.poller.read(0, 5, reading_no=1)
    thread.consumer.plays(*messages(0, 7, 9))
    thread.consumer.plays(*messages(0, 12), FakeMessage(0, 15, KafkaError(KafkaError._PARTITION_EOF)))
    thread.consumer.plays(FakeMessage(0, 15, KafkaError(KafkaError._PARTITION_EOF)))
    thread.consumer.plays(FakeMessage(0, 17, KafkaError(KafkaError._PARTITION_EOF)))
    thread.run(4)
    thread.poller.pause(True)
    thread.poller.pause(False)
    thread.consumer.plays(*messages(0, 20))
    thread.run()

    assert thread.spans == [(5, 10, True), (10, 15, False), (15, 17, False), (17, 21, True)]
    assert [positions for _, _, positions in thread.seen] == [[7, 9], [12], [], [20]]


def test_what_comes_after_an_error_of_a_partition_may_lack_what_is_there(thread: Thread) -> None:
    thread.assigned(0, 1)
    thread.poller.read(0, 0, reading_no=1)
    thread.poller.read(1, 0, reading_no=1)
    broken = FakeMessage(0, 1, KafkaError(KafkaError._BAD_MSG))
    thread.consumer.plays(*messages(0, 0), *messages(1, 0), broken, *messages(0, 5), *messages(1, 2))

    thread.run()

    assert thread.spans == [(0, 1, True), (0, 3, True), (1, 6, True)]


def test_a_record_that_belongs_to_no_reading_is_dropped(thread: Thread) -> None:
    thread.assigned(0)
    thread.consumer.plays(*messages(0, 0, 1))

    thread.run()

    assert thread.seen == []


def test_a_record_below_the_position_that_was_sought_is_dropped(thread: Thread) -> None:
    thread.assigned(0)
    thread.poller.read(0, 5, reading_no=1)
    thread.consumer.plays(*messages(0, 3, 4, 5))

    thread.run()

    assert thread.seen == [(0, 1, [5])]


def test_partitions_are_assigned_paused_and_wait_for_their_reading(thread: Thread) -> None:
    thread.assigned(0, 1)
    assert thread.consumer.paused == {0, 1}
    assert thread.rounds[-1].eligible == [frozenset({0, 1})]

    thread.poller.read(1, 0, reading_no=1)
    thread.run()

    assert thread.consumer.paused == {0}


def test_what_comes_after_a_revocation_inside_the_same_poll_is_dropped(thread: Thread) -> None:
    thread.assigned(0, 1)
    thread.poller.read(0, 0, reading_no=1)
    thread.poller.read(1, 0, reading_no=2)

    def while_one_is_revoked() -> list[FakeMessage]:
        found = messages(0, 0) + messages(1, 0)
        thread.consumer.rebalance("on_revoke", 0)
        return found

    thread.consumer.script.append(while_one_is_revoked)
    thread.run()

    assert thread.seen == [(1, 2, [0])]
    assert thread.rounds[-1].eligible == [frozenset({1})]


@pytest.mark.parametrize("how", ["on_revoke", "on_lost"])
def test_a_partition_that_went_and_came_back_before_anybody_looked_goes_on_where_it_was(
    thread: Thread, how: str
) -> None:
    thread.assigned(0)
    thread.poller.read(0, 5, reading_no=1)
    thread.consumer.plays(*messages(0, 5, 6))
    thread.run()

    def away_and_back() -> list[FakeMessage]:
        thread.consumer.rebalance(how, 0)
        thread.consumer.rebalance("on_assign", 0)
        return []

    thread.consumer.script.append(away_and_back)
    thread.run()
    thread.consumer.plays(*messages(0, 7))
    thread.run()

    assert thread.rounds[-2].eligible == [frozenset(), frozenset({0})]
    assert ("seek", 0, 7) in thread.consumer.calls
    assert thread.seen[-1] == (0, 1, [7])


def test_a_partition_that_was_stopped_while_it_was_away_stays_silent_when_it_comes_back(thread: Thread) -> None:
    thread.assigned(0)
    thread.poller.read(0, 0, reading_no=1)
    thread.run()
    thread.consumer.script.append(lambda: thread.consumer.rebalance("on_revoke", 0))
    thread.run()

    thread.poller.ignore(0)
    thread.assigned(0)
    thread.consumer.plays(*messages(0, 0))
    thread.run()

    assert thread.seen == []
    assert thread.consumer.paused == {0}


def test_a_seek_that_is_refused_is_tried_again_and_holds_up_nobody(thread: Thread) -> None:
    thread.assigned(0, 1)
    thread.poller.read(1, 0, reading_no=1)
    thread.run()
    thread.consumer.seeks_to_refuse = 3
    thread.poller.read(0, 0, reading_no=2)
    for position in range(3):
        thread.consumer.plays(*messages(1, position))
    thread.run(3)
    assert thread.consumer.paused == {0}

    thread.consumer.plays(*messages(0, 0))
    thread.run()

    assert thread.seen == [(1, 1, [0]), (1, 1, [1]), (1, 1, [2]), (0, 2, [0])]


def test_a_loop_that_takes_nothing_is_handed_a_few_rounds_and_the_group_is_still_served(thread: Thread) -> None:
    thread.assigned(0)
    thread.poller.read(0, 0, reading_no=1)
    for position in range(100):
        thread.consumer.plays(*messages(0, position))
    thread.run(ROUNDS_MAX + 5, is_taken=False)
    assert len(thread.seen) == ROUNDS_MAX
    polls = thread.consumer.calls.count(("poll",))

    thread.consumer.script.clear()
    thread.run(25, is_taken=False)

    assert thread.consumer.calls.count(("poll",)) > polls
    assert thread.consumer.paused == {0}
    for _ in range(ROUNDS_MAX):
        thread.poller.taken()
    thread.consumer.plays(*messages(0, ROUNDS_MAX))
    thread.run()
    assert thread.consumer.paused == set()
    assert thread.seen[-1] == (0, 1, [ROUNDS_MAX])


def test_what_is_resumed_after_a_pause_is_only_what_is_being_read(thread: Thread) -> None:
    thread.assigned(0, 1)
    thread.poller.read(0, 0, reading_no=1)
    thread.run()

    thread.poller.pause(True)
    thread.run()
    assert thread.consumer.paused == {0, 1}
    thread.poller.pause(False)
    thread.run()

    assert thread.consumer.paused == {1}


def test_an_error_in_place_of_a_record_is_no_record(thread: Thread) -> None:
    thread.assigned(0)
    thread.poller.read(0, 0, reading_no=1)
    thread.consumer.plays(FakeMessage(0, -1, KafkaError(KafkaError._AUTO_OFFSET_RESET)), *messages(0, 0))

    thread.run()

    assert thread.seen == [(0, 1, [0])]


def test_offsets_of_a_partition_that_is_somebody_elses_are_nobodys_error(thread: Thread) -> None:
    thread.poller.accepted(0, 5)

    thread.run(60)
