"""How much of what was read goes into one accept, and when nothing more is read."""

from argosy.log import Record
from argosy.workers.dispatch.accept.backlog import Backlog
from argosy.workers.dispatch.owned import Owned
from tests.dispatch.claims import claims_of

KB = 1_000


def make(*partitions: int) -> tuple[Backlog, dict[int, Owned]]:
    owned = {each: Owned(each, epoch=1, buckets=(0, 1023)) for each in partitions}
    return Backlog(claims_of(*owned.values()), batch_max=10, batch_size_bytes_max=100 * KB), owned


def fill(backlog: Backlog, owned: Owned, count: int, size_bytes: int) -> None:
    for position in range(owned.next_read, owned.next_read + count):
        backlog.add(owned, Record(position, 0, None, b"x" * size_bytes, ()))


def test_a_batch_ends_with_the_record_that_fills_it() -> None:
    backlog, owned = make(0)
    fill(backlog, owned[0], 9, 30 * KB)

    batches = [backlog.take() for _ in range(3)]

    positions = [[each.position for _, records in batch for each in records] for batch in batches]
    assert positions == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert backlog.count == 0


def test_a_record_larger_than_a_batch_goes_alone() -> None:
    backlog, owned = make(0)
    fill(backlog, owned[0], 2, 500 * KB)

    assert [len(records) for _, records in backlog.take()] == [1]
    assert [len(records) for _, records in backlog.take()] == [1]


def test_a_batch_of_several_partitions_has_one_bound() -> None:
    backlog, owned = make(0, 1)
    fill(backlog, owned[0], 2, 40 * KB)
    fill(backlog, owned[1], 2, 40 * KB)

    assert [(each.partition, len(records)) for each, records in backlog.take()] == [(0, 2), (1, 1)]


def test_nothing_more_is_read_while_much_waits_in_bytes() -> None:
    backlog, owned = make(0)
    fill(backlog, owned[0], 9, 50 * KB)
    assert (backlog.is_long, backlog.is_short) == (True, False)

    while backlog.take():
        pass

    assert (backlog.is_long, backlog.is_short) == (False, True)


def test_what_is_forgotten_does_not_count() -> None:
    backlog, owned = make(0)
    fill(backlog, owned[0], 9, 50 * KB)

    backlog.forget(owned[0])

    assert (backlog.count, backlog.is_short) == (0, True)
