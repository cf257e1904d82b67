"""A record whose id is too old for a new turn becomes none; one that only waited does."""

import re
import uuid

import pytest

from argosy import ids, record
from argosy.log import Record
from argosy.record import TurnRequested
from argosy.store.start import StartRow
from argosy.workers.dispatch.accept.accept_arrays import AcceptArrays
from argosy.workers.dispatch.lateness import LATE_S, ExpiredRecordError
from argosy.workers.dispatch.owned import Owned
from tests.harness.processes import ROOT

TENANT, LANE = "acme", "default"
NOW_S = 1_800_000_000.0
DAY_S = 86_400.0
SESSION_ID = ids.session_id_of(TENANT, LANE, "s")


def asked(minted_s: float) -> TurnRequested:
    turn_id = ids.TurnIdMint(TENANT, LANE).mint(ids.bucket_of(SESSION_ID), int(minted_s * 1_000))
    return TurnRequested(turn_id.bytes, TENANT, LANE, "s", "echo", b"{}")


def read(minted_s: float) -> Record:
    return Record(0, int(NOW_S * 1_000), None, record.encode(asked(minted_s)), ())


def accepted_through(*times_s: float, now_s: float = NOW_S) -> Owned:
    owned = Owned(0, 1, (0, 1023))
    for through_s in times_s:
        owned.accept_through(through_s, now_s)
    return owned


def is_taken(each: Record, owned: Owned) -> bool:
    try:
        AcceptArrays(LANE, "log", 100).add(owned, each, 1)
    except ExpiredRecordError:
        return False
    return True


@pytest.mark.parametrize(
    ("before_s", "expected"),
    [(-3_600, True), (0, True), (LATE_S - 1, True), (LATE_S + 1, False), (40 * DAY_S, False)],
)
def test_an_id_is_late_when_it_is_a_day_older_than_what_was_accepted_before(before_s: float, expected: bool) -> None:
    assert is_taken(read(NOW_S - before_s), accepted_through(NOW_S)) is expected


def test_a_record_that_waited_for_a_worker_is_taken_however_long_that_was() -> None:
    owned = accepted_through(NOW_S - 90 * DAY_S)

    assert is_taken(read(NOW_S - 90 * DAY_S), owned)
    assert not is_taken(read(NOW_S - 92 * DAY_S), owned)


def test_nothing_is_late_while_nobody_knows_how_far_a_partition_is() -> None:
    assert is_taken(read(0), accepted_through())
    assert is_taken(read(0), accepted_through(float("-inf")))


@pytest.mark.parametrize(
    ("through_s", "now_s"), [(NOW_S + 400 * DAY_S, NOW_S), (NOW_S, NOW_S + 400 * DAY_S)], ids=["database", "worker"]
)
def test_one_clock_that_is_fast_makes_nothing_late(through_s: float, now_s: float) -> None:
    assert is_taken(read(NOW_S), accepted_through(through_s, now_s=now_s))


def test_a_partition_is_never_accepted_through_less_than_before_and_another_log_begins_anew() -> None:
    owned = accepted_through(NOW_S, NOW_S - 50 * DAY_S)
    old = read(NOW_S - 40 * DAY_S)

    assert not is_taken(old, owned)
    owned.begin_at("another log", 0)
    assert is_taken(old, owned)


def test_a_turn_that_another_turn_started_is_never_late() -> None:
    start = asked(NOW_S - 40 * DAY_S)
    turn_id = uuid.UUID(bytes=start.turn_id)
    row = StartRow(turn_id, ids.bucket_of(SESSION_ID), TENANT, SESSION_ID, record.encode(start), None)

    assert AcceptArrays(LANE, "log", 100).add_start(accepted_through(NOW_S), row, 1).turn_id == turn_id


def test_a_turn_is_kept_for_longer_than_a_copy_of_its_record_could_be_taken_for_new() -> None:
    said = (ROOT / "argosy" / "store" / "functions" / "trim.sql").read_text(encoding="utf-8")

    (hours,) = re.findall(r"accepted_through - interval '(\d+) hours'", said)

    assert float(hours) * 3_600.0 == LATE_S + 3_600.0
