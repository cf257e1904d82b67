"""A record that is too old to be a new turn is kept, unless its turn is here."""

import uuid

from argosy import record
from argosy.record import TurnRequested
from argosy.store.partition import LogPlace, Partitions
from argosy.store.pool import Pool
from tests.store.hand import LANE, LOG, TENANT, Hand, New


def value_of(turn_id: uuid.UUID) -> bytes:
    return record.encode(TurnRequested(turn_id.bytes, TENANT, LANE, "s", "echo", b'{"n": 1}'))


async def test_of_late_records_those_are_kept_whose_turn_is_not_here(hand: Hand) -> None:
    here, gone = New("a"), uuid.uuid4()
    await hand.accept(here)
    first = await hand.position(here.partition)
    late = [value_of(here.turn_id), b"\xff", value_of(gone)]
    codes = ["expired_record", "undecodable_record", "expired_record"]
    dead = [
        (here.partition, first + number, value, code, "words")
        for number, (value, code) in enumerate(zip(late, codes, strict=True))
    ]

    answer = await hand.accept(dead=dead)

    assert answer.applied == [False, True, True]
    kept = await hand.rows("SELECT position, value FROM dead_letters WHERE log_id = $1 ORDER BY position", LOG)
    assert kept == [(first + 1, late[1]), (first + 2, late[2])]
    assert await hand.rows("SELECT turn_id FROM turns") == [(here.turn_id,)]
    assert await hand.position(here.partition) == first + 3
    assert await hand.repeat(1) == answer


async def test_without_a_late_record_nothing_is_said_of_dead_letters(hand: Hand) -> None:
    answer = await hand.accept(dead=[(0, 0, b"\xff", "undecodable_record", "words")])

    assert answer.applied is None
    assert await hand.rows("SELECT count(*) FROM dead_letters") == [(1,)]


async def test_whatever_a_late_record_holds_it_is_kept_and_passed(hand: Hand) -> None:
    values = [b"", b"\x01", b"\x01" * 32, b"\x01\xdc" + bytes(40), b"\x01\x96\xc4\x10" + bytes(12) + b"\x05" * 20]
    dead = [(0, number, value, "expired_record", "words") for number, value in enumerate(values)]

    answer = await hand.accept(dead=dead)

    assert answer.applied == [True] * len(values)
    assert await hand.rows("SELECT count(*) FROM dead_letters") == [(len(values),)]


async def test_who_opens_a_partition_learns_through_when_it_is_accepted(hand: Hand, store_dsn: str) -> None:
    pool = Pool(store_dsn, 1, 10.0)
    partitions = Partitions(pool, hand.worker_id, "127.0.0.1:1", LANE)
    begins = {0: 7, 1: 7}
    assert await partitions.open_positions("a new log", begins) == dict.fromkeys(begins, LogPlace(7, float("-inf")))

    await hand.rows(
        "UPDATE positions SET accepted_through = to_timestamp(1800000000.5) WHERE log_id = $1 AND partition = 1"
        " RETURNING 1",
        "a new log",
    )
    opened = await partitions.open_positions("a new log", begins)

    assert opened == {0: LogPlace(7, float("-inf")), 1: LogPlace(7, 1_800_000_000.5)}
    await pool.close()
