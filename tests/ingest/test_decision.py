"""What becomes of a record, by what the graph's file has: a table, and any uploads in any order."""

from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.config import load
from argosy.graph.feeds import LINES_MAX, FeedBatch, FeedState, numbered_lines
from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.record import EndRecord, LinesRecord, join_lines
from argosy.store.ingest_notes import Verdict
from argosy.workers.ingest.decision import SENT_SIZE_BYTES, Fate, ending_of, fate_of, needs_look, piece_of

ID: Final = bytes(16)
LINES: Final = [b"a", b"b", b"", b"d", b"e", b"f"]


def record(first: int, end: int, lines: Sequence[bytes] = LINES) -> LinesRecord:
    """The record of the lines from number `first` up to `end`, which is not in it."""
    before = chain_of(EMPTY, lines[: first - 1])
    return LinesRecord(ID, "acme", "crm", ID, 1, first, end - first, before, join_lines(lines[first - 1 : end - 1]))


def state(next_line: int, lines: Sequence[bytes] = LINES) -> FeedState:
    """A file that has the lines before `next_line`."""
    return FeedState("feed", next_line, chain_of(EMPTY, lines[: next_line - 1]), next_line - 1, 0)


@pytest.mark.parametrize(
    ("next_line", "first", "end", "expected"),
    [
        (1, 1, 4, Fate.NEXT),
        (4, 4, 7, Fate.NEXT),
        (2, 1, 4, Fate.NEXT),
        (3, 1, 4, Fate.NEXT),
        (4, 1, 4, Fate.KNOWN),
        (6, 1, 4, Fate.KNOWN),
        (3, 4, 7, Fate.AHEAD),
        (1, 2, 3, Fate.AHEAD),
    ],
)
def test_the_fate_of_a_record_follows_from_the_next_line(next_line: int, first: int, end: int, expected: Fate) -> None:
    assert fate_of(record(first, end), state(next_line)) is expected


@pytest.mark.parametrize(("next_line", "first", "end"), [(4, 4, 7), (4, 2, 7), (4, 3, 5)])
def test_a_record_behind_other_lines_is_foreign(next_line: int, first: int, end: int) -> None:
    others = [b"x", *LINES[1:]]

    assert fate_of(record(first, end), state(next_line, others)) is Fate.FOREIGN


def test_only_what_a_file_cannot_take_back_is_decided_by_what_was_heard_before() -> None:
    assert {each for each in Fate if needs_look(each)} == {Fate.AHEAD, Fate.FOREIGN}


def test_a_whole_record_is_sent_as_it_is() -> None:
    piece = piece_of(record(1, 4), 1, EMPTY)

    assert piece == (1, 4, EMPTY, chain_of(EMPTY, LINES[:3]), b"a\nb\n")


def test_of_a_record_that_is_known_in_part_the_rest_is_sent() -> None:
    known = chain_of(EMPTY, LINES[:2])

    assert piece_of(record(1, 7), 3, known) == (3, 7, known, chain_of(EMPTY, LINES), b"\nd\ne\nf")


def test_a_large_record_is_sent_in_pieces_of_at_least_one_line() -> None:
    lines = [b"a" * (SENT_SIZE_BYTES // 2 - 10)] * 3 + [b"b" * (2 * SENT_SIZE_BYTES)] + [b"c"]
    large, pieces, before, first = record(1, 6, lines), [], EMPTY, 1

    while first < large.end_line:
        pieces.append(piece_of(large, first, before))
        first, before = pieces[-1].end, pieces[-1].after

    assert [each.end for each in pieces] == [3, 4, 5, 6]
    assert b"\n".join(each.lines for each in pieces) == large.lines
    assert before == chain_of(EMPTY, lines)


def test_no_more_lines_are_sent_than_a_batch_may_have() -> None:
    lines = [b"{}"] * (2 * LINES_MAX + 1)
    large, ends, before, first = record(1, len(lines) + 1, lines), [], EMPTY, 1

    while first < large.end_line:
        piece = piece_of(large, first, before)
        assert len(numbered_lines(FeedBatch("feed", 1, *piece))) == piece.end - piece.first
        first, before = piece.end, piece.after
        ends.append(first)

    assert ends == [LINES_MAX + 1, 2 * LINES_MAX + 1, 2 * LINES_MAX + 2]
    assert before == chain_of(EMPTY, lines)


@pytest.mark.parametrize("line_size_bytes", [85, 105, 2_000])
def test_a_full_record_is_sent_in_two_pieces_of_about_the_same_size(line_size_bytes: int) -> None:
    line = b"a" * line_size_bytes
    count = -(-load({}).ingest_record_size_bytes // (line_size_bytes + 1))  # the last one fills it
    full = record(1, count + 1, [line] * count)

    first = piece_of(full, 1, EMPTY)
    second = piece_of(full, first.end, first.after)

    assert second.end == full.end_line
    assert len(first.lines) < 1.25 * len(second.lines)


@pytest.mark.parametrize(
    ("through", "lines", "is_mixed", "expected"),
    [
        (6, LINES, False, Verdict.DONE),
        (6, LINES, True, Verdict.DONE),
        (5, LINES, False, Verdict.LOST),
        (0, LINES, False, Verdict.LOST),
        (5, LINES, True, Verdict.FAILED),
        (6, [b"x", *LINES[1:]], False, Verdict.FAILED),
        (7, [*LINES, b"g"], False, Verdict.FAILED),
    ],
)
def test_an_upload_ends_by_what_its_file_has(
    through: int, lines: list[bytes], is_mixed: bool, expected: Verdict
) -> None:
    end = EndRecord(ID, "acme", "crm", ID, 1, len(LINES), chain_of(EMPTY, LINES))

    assert ending_of(end, state(through + 1, lines), is_mixed=is_mixed).verdict is expected


@given(st.data())
def test_whatever_is_read_how_often_the_file_gets_every_line_once_in_order(data: st.DataObject) -> None:
    """Records of one upload, cut anyhow by several gateways, repeated, each time from somewhere it had come to."""
    lines = [b"%d" % number for number in range(data.draw(st.integers(1, 12)))]
    log: list[LinesRecord] = []
    for _ in range(data.draw(st.integers(1, 4))):
        # A gateway goes on from what was acknowledged, or before it.
        through = max((each.end_line - 1 for each in log), default=0)
        at = data.draw(st.integers(0, through)) + 1
        upto = data.draw(st.integers(at, len(lines) + 1))
        while at < upto:
            end = data.draw(st.integers(at + 1, upto))
            log.append(record(at, end, lines))
            at = end
    through = max((each.end_line - 1 for each in log), default=0)
    log.append(record(through + 1, len(lines) + 1, lines)) if through < len(lines) else None
    file, got = state(1, lines), []

    for read in log:
        while fate_of(read, file) is Fate.NEXT:
            piece = piece_of(read, file.next, file.chain)
            got += piece.lines.split(b"\n")
            file = FeedState("feed", piece.end, piece.after, 0, 0)
        assert fate_of(read, file) is Fate.KNOWN

    assert got == lines


@given(st.lists(st.sampled_from([b"a", b"b"]), min_size=1, max_size=8), st.data())
def test_two_uploads_under_one_key_never_mix(ours: list[bytes], data: st.DataObject) -> None:
    other = data.draw(st.lists(st.sampled_from([b"a", b"b"]), min_size=1, max_size=8).filter(lambda each: each != ours))
    log = [(lines, number) for lines in (ours, other) for number in range(1, len(lines) + 1)]
    log = data.draw(st.permutations(log))
    file, got = state(1), []

    for lines, number in log:
        read = record(number, number + 1, lines)
        if fate_of(read, file) is Fate.NEXT:
            piece = piece_of(read, file.next, file.chain)
            got.append(piece.lines)
            file = FeedState("feed", piece.end, piece.after, 0, 0)

    assert got in (ours[: len(got)], other[: len(got)])
