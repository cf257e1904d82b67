"""The table of metrics: what it must hold for whoever reads it, and for whoever has to pay for the series."""

import re
from typing import Final

from prometheus_client import REGISTRY

from argosy import telemetry
from argosy.telemetry import log_events
from argosy.telemetry.event import EVENTS
from argosy.telemetry.room import LABELS, ROOMS

# Grows with use: a label of one of these would make a series for each.
UNBOUNDED: Final = {
    "session",
    "turn",
    "turn_id",
    "tenant",
    "workflow",
    "step",
    "key",
    "graph",
    "client",
    "worker",
    "user",
}
ROWS: Final = [row for room in ROOMS for row in room.rows]


def test_labels_have_a_bound_that_is_told() -> None:
    used = {label for row in ROWS for label in row.labels}

    assert used <= set(LABELS)
    assert not set(LABELS) & UNBOUNDED
    assert all(LABELS.values())


def test_a_metric_has_two_labels_at_the_most() -> None:
    assert [row.name for row in ROWS if len(row.labels) > 2] == []


def test_names_and_types_are_those_that_are_scraped() -> None:
    scraped = {
        (family.name + "_total" if family.type == "counter" else family.name, family.type)
        for family in REGISTRY.collect()
        if family.name.startswith("argosy_")
    }

    assert {(row.name, row.kind) for row in ROWS} == scraped
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_counters_and_only_they_are_totals_and_units_are_in_the_names() -> None:
    assert [row.name for row in ROWS if row.name.endswith("_total") is not (row.kind == "counter")] == []
    assert [row.name for row in ROWS if re.search(r"_(ms|s|kb|mb|minutes|hours)(_total)?$", row.name)] == []


def test_buckets_grow_and_meanings_are_a_line_without_a_full_stop() -> None:
    assert [row.name for row in ROWS if list(row.buckets) != sorted(set(row.buckets))] == []
    assert [row.name for row in ROWS if not row.meaning or row.meaning.endswith(".") or "|" in row.meaning] == []
    assert [name for name, meaning in EVENTS.items() if not meaning or meaning.endswith(".") or "|" in meaning] == []


def test_names_of_log_events_are_words_and_stand_once() -> None:
    declared = [value for name, value in vars(log_events).items() if name.isupper()]

    assert sorted(declared) == sorted(EVENTS)
    assert [name for name in EVENTS if not re.fullmatch(r"[a-z]+(\.[a-z_]+)?", name)] == []
    assert telemetry.STORE_UNAVAILABLE in EVENTS
