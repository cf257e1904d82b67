"""The records of a partition: how far it is, and that what waits for one of them is bounded."""

import random

from argosy.workers.ingest.partition import Partition


def test_everything_up_to_the_first_record_that_is_not_done_may_be_noted() -> None:
    partition = Partition(0, 10, 1)
    first, second, third = (partition.add(position, 100) for position in (10, 11, 14))

    partition.done(second)
    assert (partition.position, partition.held_size_bytes) == (10, 200)
    partition.done(first)
    assert partition.position == 12
    partition.skip_to(20)
    partition.done(third)

    assert (partition.position, partition.held_size_bytes, partition.undone) == (20, 0, 0)


def test_what_waits_for_one_record_takes_no_more_room_the_longer_it_waits() -> None:
    partition = Partition(0, 0, 1)
    first = partition.add(0, 1)
    for position in range(1, 100_000):
        partition.done(partition.add(position, 1))

    assert partition.undone < 2_000
    assert (partition.position, partition.held_size_bytes) == (0, 1)
    partition.done(first)
    assert (partition.position, partition.undone) == (100_000, 0)


def test_records_that_are_done_in_any_order_are_passed_in_theirs() -> None:
    chance = random.Random(5)
    partition, left, done = Partition(0, 0, 1), [], set[int]()
    for position in range(20_000):
        left.append((position, partition.add(position, 1)))
        if len(left) > 3_000 or chance.random() < 0.4:
            number, slot = left.pop(chance.randrange(len(left)))
            partition.done(slot)
            done.add(number)
            assert partition.position == next(each for each in range(partition.position, 20_001) if each not in done)
    for _, slot in chance.sample(left, len(left)):
        partition.done(slot)

    assert (partition.position, partition.undone, partition.held_size_bytes) == (20_000, 0, 0)
