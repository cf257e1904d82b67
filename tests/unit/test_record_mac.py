"""MACs of records: what was written with the fleet's secret is taken, and nothing else."""

from typing import Any

import pytest

from argosy import telemetry
from argosy.errors import RecordError
from argosy.log import Batch, Entry, Record
from argosy.record import decode
from argosy.record_mac import HEADER, LogRecords, RecordMacs, checked

KEY, OTHER = bytes(32), bytes([1]) * 32
TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
ENTRY = Entry(3, b"session-of-16-by", b"\x01value", (TRACE,))


def macs(mode: LogRecords = LogRecords.SIGNED, topic: str = "turns.default", **keys: Any) -> RecordMacs:
    assert mode is not LogRecords.UNSIGNED
    return RecordMacs(topic, keys.get("key", KEY), keys.get("previous"), mode)


def read(entry: Entry) -> Record:
    return Record(7, 1, entry.key, entry.value, entry.headers)


def code_of(record: Record, by: RecordMacs) -> str:
    fault = by.checked(record).fault
    return "taken" if fault is None else fault.code


def test_what_a_gateway_signed_is_taken_wherever_it_stands_in_the_topic() -> None:
    signed = macs().signed(ENTRY)

    assert signed.headers[0] == TRACE
    assert (signed.key, signed.value) == (ENTRY.key, ENTRY.value)
    assert code_of(read(signed), macs()) == "taken"
    assert code_of(read(signed)._replace(position=99, timestamp_ms=0), macs()) == "taken"
    assert code_of(read(macs().signed(ENTRY._replace(headers=()))), macs()) == "taken"


@pytest.mark.parametrize(
    "changed",
    [
        {"value": b"\x01other"},
        {"value": None},
        {"key": b"another-session!"},
        {"key": None},
        {"key": ENTRY.key + ENTRY.value[:1], "value": ENTRY.value[1:]},
    ],
)
def test_what_was_changed_or_brought_elsewhere_is_forged(changed: dict[str, Any]) -> None:
    record = read(macs().signed(ENTRY))

    assert code_of(record._replace(**changed), macs()) == "forged_record"


def test_a_record_of_another_topic_is_forged() -> None:
    record = read(macs(topic="turns.other").signed(ENTRY))

    assert code_of(record, macs()) == "forged_record"


@pytest.mark.parametrize("mode", [LogRecords.SIGNING, LogRecords.SIGNED])
def test_a_wrong_mac_is_refused_in_both_modes(mode: LogRecords) -> None:
    (trace, (name, mac)) = macs().signed(ENTRY).headers
    forged = [
        (trace, (name, mac[:-1] + bytes([mac[-1] ^ 1]))),
        (trace, (name, mac[:-1])),
        (trace, (name, mac + b"\0")),
        (trace, (name, mac), (name, mac)),
        ((name, mac),),
        (("traceparent", TRACE[1][:-1] + b"0"), (name, mac)),
    ]

    checked = [macs(mode).checked(read(ENTRY._replace(headers=headers))) for headers in forged]

    assert [each.fault and each.fault.code for each in checked] == ["forged_record"] * len(forged)
    assert not any(each.is_proved for each in checked)


@pytest.mark.parametrize("mac", [b"", bytes(20), macs(key=OTHER).signed(ENTRY).headers[1][1]])
def test_a_mac_of_a_key_that_is_not_here_is_like_none_until_macs_are_needed(mac: bytes) -> None:
    """A gateway that has another secret said 202: its turns are taken, and believed in nothing."""
    record = read(ENTRY._replace(headers=(TRACE, (HEADER, mac))))

    assert macs(LogRecords.SIGNING).checked(record) == record
    assert code_of(record, macs(LogRecords.SIGNED)) == "forged_record"


def test_a_record_without_a_mac_is_taken_only_while_the_fleet_is_on_its_way_there() -> None:
    assert macs(LogRecords.SIGNING).checked(read(ENTRY)) == read(ENTRY)
    assert code_of(read(ENTRY), macs(LogRecords.SIGNED)) == "unsigned_record"


@pytest.mark.parametrize("mode", [LogRecords.SIGNING, LogRecords.SIGNED])
def test_what_an_erasure_has_emptied_is_not_taken_for_another_producers(mode: LogRecords) -> None:
    """The Postgres log empties records, MACs and all; of an empty one no worker makes anything."""
    before = sum(each.value for metric in telemetry.RECORDS_UNSIGNED.collect() for each in metric.samples[:1])

    codes = [code_of(Record(7, 1, ENTRY.key, value, ()), macs(mode)) for value in (b"", None)]

    assert codes == ["taken", "taken"]
    for value in (b"", None):
        with pytest.raises(RecordError, match="empty"):
            decode(value)
    assert before == sum(each.value for metric in telemetry.RECORDS_UNSIGNED.collect() for each in metric.samples[:1])


def test_a_key_that_was_replaced_proves_what_it_signed_and_signs_no_more() -> None:
    before, after = macs(key=OTHER), macs(key=KEY, previous=OTHER)

    assert code_of(read(before.signed(ENTRY)), after) == "taken"
    assert code_of(read(after.signed(ENTRY)), macs()) == "taken"
    assert code_of(read(after.signed(ENTRY)), before) == "forged_record"
    assert code_of(read(before.signed(ENTRY)), macs()) == "forged_record"


def test_a_batch_is_handed_on_with_the_fault_of_each_record() -> None:
    taken: list[Batch] = []
    batch = Batch(0, 1, [read(macs().signed(ENTRY)), read(ENTRY)], 7, 9, False)

    checked(taken.append, macs())(batch)
    checked(taken.append, None)(batch)

    assert [each.fault and each.fault.code for each in taken[0].records] == [None, "unsigned_record"]
    assert [each.is_proved for each in taken[0].records] == [True, False]
    assert (taken[0].begin, taken[0].end, len(taken[0].records)) == (7, 9, 2)
    assert taken[1] is batch
    assert HEADER == "argosy-mac"  # of records that stay in the log
