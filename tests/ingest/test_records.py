"""Records of ingest, chains and the names of jobs: what is written down for ever."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import NewerRecordError, RecordError
from argosy.ingest import record
from argosy.ingest.chain import EMPTY, chain, chain_of
from argosy.ingest.job import bucket_of_graph, job_id_of
from argosy.ingest.oversized import OversizedLine, marker_of, oversized
from argosy.ingest.record import EndRecord, LinesRecord, SealedLines, decode, encode, join_lines, split_lines

JOB, LIFE = bytes(range(16)), bytes(range(16, 32))
Lines = st.lists(st.binary(max_size=20).map(lambda each: each.replace(b"\n", b"")), min_size=1, max_size=20)


def lines_record(lines: list[bytes], first_line: int = 1) -> LinesRecord:
    return LinesRecord(JOB, "acme", "docs", LIFE, 5, first_line, len(lines), EMPTY, join_lines(lines))


@given(Lines)
def test_a_record_is_read_as_it_was_written(lines: list[bytes]) -> None:
    written = lines_record(lines, first_line=7)

    read = decode(encode(written))

    assert read == written
    assert isinstance(read, LinesRecord)
    assert split_lines(read) == lines
    assert read.end_line == 7 + len(lines)


def test_an_end_is_read_as_it_was_written() -> None:
    end = EndRecord(JOB, "acme", "docs", LIFE, 5, 3, chain(EMPTY, b"a"))
    assert decode(encode(end)) == end


def test_records_and_names_are_the_same_in_every_version() -> None:
    life = uuid.UUID(bytes=LIFE)
    assert encode(lines_record([b"a", b""])).hex() == (
        "019aa56c696e6573c410000102030405060708090a0b0c0d0e0fa461636d65a4646f6373c410101112131415161718191a1b1c1d1e1f"
        "050102c41000000000000000000000000000000000c402610a"
    )
    assert chain_of(EMPTY, [b"a", b""]).hex() == "335a1bafa30480f3ee7971a287f841cf"
    assert str(job_id_of("acme", "docs", life, "k")) == "eadb21cd-d672-81af-b786-52c729135349"
    assert bucket_of_graph("acme", "docs") == 987


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\0",
        b"\x01",
        b"\x01\xc1",
        encode(lines_record([b"a"])) + b"x",
        encode(lines_record([b"a"]))[:-1],
        encode(LinesRecord(JOB[1:], "t", "g", LIFE, 5, 1, 1, EMPTY, b"a")),
        encode(LinesRecord(JOB, "t", "g", LIFE, 5, 0, 1, EMPTY, b"a")),
        encode(LinesRecord(JOB, "t", "g", LIFE, 5, 1, 2, EMPTY, b"a")),
        encode(EndRecord(JOB, "t", "g", LIFE, 5, -1, EMPTY)),
        encode(EndRecord(JOB, "t", "g", LIFE, 5, 1, b"short")),
    ],
)
def test_what_is_no_record_is_refused(value: bytes | None) -> None:
    with pytest.raises(RecordError):
        decode(value)


def test_sealed_lines_are_read_as_they_were_written_and_as_newer_ones_by_a_version_that_cannot_open_them() -> None:
    about = (JOB, "acme", "docs", LIFE, 5, 7, 3, EMPTY)
    written = SealedLines(*about, b"\x01 whatever \n was sealed")

    value = encode(written)

    assert (value[0], decode(value)) == (2, written)
    assert isinstance(decode(value), SealedLines)
    assert not isinstance(decode(encode(lines_record([b"\x01"]))), SealedLines)
    assert value[1:] == encode(LinesRecord(*about, written.lines))[1:]  # SQL finds its job where it finds others'
    with pytest.raises(RecordError):
        decode(b"\x02" + encode(EndRecord(JOB, "acme", "docs", LIFE, 5, 3, EMPTY))[1:])


def test_a_record_of_a_newer_version_is_not_guessed_at() -> None:
    with pytest.raises(NewerRecordError):
        decode(bytes([record.SEALED_VERSION + 1]) + b"anything")


@given(Lines, Lines)
def test_chains_are_equal_where_the_lines_are(lines: list[bytes], others: list[bytes]) -> None:
    assert (chain_of(EMPTY, lines) == chain_of(EMPTY, others)) is (lines == others)


@given(Lines, st.integers(0, 20))
def test_a_chain_does_not_depend_on_how_lines_are_cut(lines: list[bytes], at: int) -> None:
    assert chain_of(chain_of(EMPTY, lines[:at]), lines[at:]) == chain_of(EMPTY, lines)


def test_a_job_has_another_name_for_another_tenant_graph_life_or_key() -> None:
    lives = uuid.uuid4(), uuid.uuid4()
    names = {job_id_of(t, g, life, key) for t in "ab" for g in "ab" for life in lives for key in ("", "k", "kk")}
    assert len(names) == 24
    assert {(each.version, each.variant) for each in names} == {(8, uuid.RFC_4122)}


@given(st.integers(1, 2**63), st.binary(min_size=16, max_size=16), st.binary())
def test_a_marker_says_what_was_there(size_bytes: int, digest: bytes, start: bytes) -> None:
    assert oversized(marker_of(size_bytes, digest, start)) == OversizedLine(size_bytes, start[:200])


@pytest.mark.parametrize("line", [b"", b"{}", b"\0oversized", b"\0oversized x 00 {", b"\0oversized " + b"9" * 5000])
def test_other_lines_are_no_markers(line: bytes) -> None:
    assert oversized(line) is None
