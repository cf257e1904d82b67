"""How long every engine remembers a feed, whatever clocks say."""

import pytest

from argosy.errors import KeyExpiredError
from argosy.graph.facts import GraphRef
from argosy.graph.ops import DeleteNode
from argosy.shards.engine import Engine
from tests.shards.engines import HORIZON_MS, NOW_MS, apply, person
from tests.shards.feeding import ids, ingest, people, upload


def test_a_feed_of_which_nothing_was_done_for_the_horizon_is_forgotten_and_never_begins_anew(
    engine: Engine, ref: GraphRef
) -> None:
    old, other = people("ada", "bob", feed="old"), upload(person("cy"), feed="new", made_at_ms=NOW_MS + HORIZON_MS + 1)
    ingest(engine, ref, old.batch(1, 1))
    apply(engine, ref, DeleteNode("ada"))

    ingest(engine, ref, other.whole, NOW_MS + HORIZON_MS + 1)

    for late in (old.batch(1, 1), old.batch(2, 2), old.asked()):
        with pytest.raises(KeyExpiredError):
            ingest(engine, ref, late, NOW_MS)  # also when the clock goes back
    assert engine.graph(ref).feeds(ref, ["old"]) == [None]
    assert ids(engine, ref) == ["cy"]


def test_a_feed_that_is_old_and_was_never_begun_begins(engine: Engine, ref: GraphRef) -> None:
    lines = people("ada")

    assert ingest(engine, ref, lines.whole, NOW_MS + 2 * HORIZON_MS).state == lines.state(1)


def test_a_feed_in_use_is_not_forgotten(engine: Engine, ref: GraphRef) -> None:
    lines = people(*"abcdefgh")

    for number in range(1, 9):
        now_ms = NOW_MS + number * (HORIZON_MS - 1)
        ingest(engine, ref, people("x", feed=f"other {number}")._replace(made_at_ms=now_ms).whole, now_ms)
        assert ingest(engine, ref, lines.batch(number, number), now_ms).state == lines.state(number)


def test_a_feed_from_a_clock_that_is_ahead_makes_no_other_one_old(engine: Engine, ref: GraphRef) -> None:
    ahead = people("ada", feed="ahead")._replace(made_at_ms=NOW_MS + 100 * HORIZON_MS)
    ingest(engine, ref, ahead.whole)

    for number in range(1, 4):
        now_ms = NOW_MS + number * 2 * HORIZON_MS
        lines = people("x", feed=f"other {number}")._replace(made_at_ms=now_ms)
        assert ingest(engine, ref, lines.whole, now_ms).state == lines.state(1)


def test_a_clock_that_was_behind_when_a_feed_was_used_does_not_forget_it(engine: Engine, ref: GraphRef) -> None:
    lines = people("ada", "bob")
    ingest(engine, ref, lines.batch(1, 1), NOW_MS - 100 * HORIZON_MS)
    ingest(engine, ref, people("x", feed="other").whole)

    assert ingest(engine, ref, lines.batch(2, 2)).state == lines.state(2)


def test_a_feed_that_lasts_as_long_as_its_graph_is_never_forgotten(engine: Engine, ref: GraphRef) -> None:
    lasting = people("ada", "bob")._replace(made_at_ms=0)
    ingest(engine, ref, lasting.batch(1, 1))

    for number in range(4):
        now_ms = NOW_MS + (number + 1) * 2 * HORIZON_MS
        ingest(engine, ref, people("x", feed=f"other {number}")._replace(made_at_ms=now_ms).whole, now_ms)

    assert ingest(engine, ref, lasting.batch(2, 2)).state == lasting.state(2)


def test_refused_lines_go_with_their_feed(engine: Engine, ref: GraphRef) -> None:
    ingest(engine, ref, upload(b"x", feed="old").whole)
    ingest(engine, ref, people("ada").whole, NOW_MS + HORIZON_MS + 1)

    assert b"old" not in b"".join(engine.graph(ref).export(ref))
