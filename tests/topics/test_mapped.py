"""What records become: lines, rejects, or nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

import argosy
from argosy.config import load
from argosy.errors import SettingError
from argosy.ingest.line_ops import op_of
from argosy.ingest.oversized import oversized
from argosy.ingest.refusal import refusal_of
from argosy.log import Record
from argosy.workers.ingest.topics.mapped import lines_of
from argosy.workflow.mapping import Mapping, TopicRecord, mapping
from argosy.workflow.mappings import load_mapping
from tests.topics import mappings

SIZE_BYTES_MAX = 10_000


def record(offset: int, value: bytes | None, key: bytes | None = b"o-1") -> Record:
    return Record(offset, 0, key, value, ())


def lines(function: Mapping, *records: Record) -> list[tuple[int, bytes]]:
    return lines_of(function, "orders", 3, records, SIZE_BYTES_MAX)


def test_a_record_has_the_number_behind_its_offset_and_one_that_means_nothing_has_no_line() -> None:
    found = lines(
        mappings.orders, record(0, b'{"total": 5}'), record(1, b'{"kind": "note"}'), record(7, None), record(9, b"{}")
    )

    assert [number for number, _ in found] == [1, 8, 10]
    assert json.loads(found[0][1]) == {"op": "upsert_node", "id": "o-1", "label": "Order", "props": {"total": 5}}
    assert json.loads(found[1][1]) == {"op": "delete_node", "id": "o-1"}


def test_several_operations_of_a_record_are_one_line() -> None:
    [(_, line)] = lines(mappings.orders, record(0, b'{"total": 5, "customer": "ada"}'))

    made = op_of(line)

    assert [type(each).__name__ for each in made.parts] == ["UpsertNode", "UpsertNode", "UpsertEdge"]  # type: ignore[union-attr]


def returning(made: Any) -> Mapping:
    return lambda key, value, record: made


def raising(error: BaseException) -> Mapping:
    def function(key: str | None, value: Any, record: TopicRecord) -> None:
        raise error

    return function


def generating(key: str | None, value: Any, record: TopicRecord) -> Iterator[dict[str, Any]]:
    yield {"op": "delete_node", "id": "a"}
    raise KeyError("b")


@pytest.mark.parametrize(
    ("function", "value", "key", "code", "words"),
    [
        (mappings.orders, b"<xml/>", b"k", "not_json", "malformed"),
        (mappings.orders, b"\xff", b"k", "not_json", ""),
        (mappings.orders, b"", b"k", "not_json", ""),
        (mappings.orders, b"{}", b"\xff", "invalid_key", "UTF-8"),
        (mappings.orders, b"{}", b"k", "mapping_failed", "KeyError: 'total'"),
        (mappings.orders, b"[1]", b"k", "mapping_failed", "AttributeError"),
        (raising(SystemExit(3)), b"{}", b"k", "mapping_failed", "SystemExit"),
        (raising(ValueError("\ud800" * 1_000)), b"{}", b"k", "mapping_failed", "ValueError"),
        (generating, b"{}", b"k", "mapping_failed", "KeyError"),
        (returning(5), b"{}", b"k", "unmapped", "neither"),
        (returning("text"), b"{}", b"k", "unmapped", "neither"),
        (returning([{"op": "delete_node"}, 5]), b"{}", b"k", "unmapped", "neither"),
        (returning({"op": object()}), b"{}", b"k", "unmapped", "no JSON"),
    ],
)
def test_a_record_that_cannot_be_mapped_becomes_a_reject_with_its_reason(
    function: Mapping, value: bytes, key: bytes, code: str, words: str
) -> None:
    [(number, line)] = lines(function, record(4, value, key))

    refusal = refusal_of(line)

    assert number == 5
    assert refusal is not None
    assert (refusal.code, words in refusal.reason) == (code, True)
    assert refusal.start == (key if code == "invalid_key" else value)
    assert b"\n" not in line


@pytest.mark.parametrize("made", [None, [], (), iter(())])
def test_nothing_is_no_line(made: Any) -> None:
    assert lines(returning(made), record(0, b"{}")) == []


def test_a_line_over_the_bound_is_one_that_is_refused() -> None:
    [(_, line)] = lines(returning({"op": "upsert_node", "id": "x" * SIZE_BYTES_MAX, "label": "L"}), record(0, b"{}"))

    assert oversized(line) is not None


def test_a_mapping_is_a_plain_function_that_is_marked() -> None:
    async def later(key: str | None, value: Any, record: TopicRecord) -> None: ...

    with pytest.raises(TypeError, match="later is async"):
        mapping(later)
    assert argosy.mapping is mapping


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("tests.topics.mappings:unmarked", "put @argosy.mapping above it"),
        ("tests.topics.mappings:nobody", "cannot be loaded"),
        ("tests.topics.nowhere:orders", "cannot be loaded"),
        ("os.system", "is module:function"),
    ],
)
def test_what_is_no_mapping_is_said_in_one_line(named: str, words: str) -> None:
    topics = json.dumps({"orders": {"graph": "shop", "map": named}})
    settings = load({"INGEST_TOPICS": topics, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})

    with pytest.raises(SettingError, match=words) as error:
        load_mapping(settings, settings.ingest_topics[0])

    assert "INGEST_TOPICS, orders.map" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mapping_is_found_by_its_name() -> None:
    topics = json.dumps({"orders": {"graph": "shop", "map": "tests.topics.mappings:orders"}})
    settings = load({"INGEST_TOPICS": topics, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})

    assert load_mapping(settings, settings.ingest_topics[0]) is mappings.orders
