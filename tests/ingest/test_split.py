"""An upload is cut into lines, wherever its blocks end."""

import tracemalloc
from hashlib import blake2b

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from argosy.errors import UploadEncodingError
from argosy.ingest.oversized import marker_of
from argosy.ingest.split import Splitter

MAX = 8
Text = st.text("ab\r\n\0é", max_size=60).map(str.encode) | st.binary(max_size=60)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = sorted({min(each, len(data)) for each in at} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def split(data: bytes, at: list[int], *, is_begun: bool = False) -> list[bytes]:
    splitter = Splitter(MAX, is_begun=is_begun)
    lines = [line for block in cut(data, at) for line in splitter.feed(block)]
    return lines + splitter.finish()


def marker(line: bytes) -> bytes:
    return marker_of(len(line), blake2b(line, digest_size=16).digest(), line)


def expected(data: bytes) -> list[bytes]:
    *lines, last = data.split(b"\n")
    lines = [line.removesuffix(b"\r") for line in [*lines, *([last] if last else [])]]
    return [line if len(line) <= MAX else marker(line) for line in lines]


@given(Text, st.lists(st.integers(0, 60), max_size=60))
@example(b"123456789\r\n12345678\r\n", [9, 10])
@example(b"12345678\r\r\nx\r", [8, 9, 10])
def test_lines_do_not_depend_on_where_the_blocks_end(data: bytes, at: list[int]) -> None:
    assert split(data, at, is_begun=True) == expected(data)


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n", b"a", b"a\n", b"a\nb", b"a\r\n\r\nb\r\n", b"\r", b"a\0b\n"])
def test_every_line_counts_and_nothing_behind_the_last_end_does(data: bytes) -> None:
    for size in (1, 2, 3, 100):
        assert split(data, list(range(0, len(data), size))) == expected(data)


@pytest.mark.parametrize("at", [[], [1], [2], [1, 2, 3]])
def test_the_mark_of_utf_8_is_no_part_of_the_first_line(at: list[int]) -> None:
    assert split(b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}", at) == [b"{}", b"\xef\xbb\xbf{}"]
    assert split(b"\xef\xbb\xbf", at) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be", "utf-32-be"])
@pytest.mark.parametrize("at", [[], [1], [2], [1, 2, 3]])
def test_wide_encodings_are_told_at_once(encoding: str, at: list[int]) -> None:
    text = "\N{ZERO WIDTH NO-BREAK SPACE}" if encoding.endswith("be") else ""
    with pytest.raises(UploadEncodingError, match=encoding[:6].upper()):
        split(f"{text}{{}}\n".encode(encoding), at)


def test_an_upload_that_goes_on_has_no_mark() -> None:
    assert split(b"\xff\xfea\n", [], is_begun=True) == [b"\xff\xfea"]


def test_a_line_over_the_bound_costs_no_memory() -> None:
    block, count = b"x" * 65_536, 800  # 50 MiB
    digest = blake2b(digest_size=16)
    splitter = Splitter(1_000_000)
    tracemalloc.start()

    for _ in range(count):
        assert splitter.feed(block) == []
        digest.update(block)
    lines = splitter.feed(b"\r\n{}\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert lines == [marker_of(count * len(block), digest.digest(), block), b"{}"]
    assert peak < 4_000_000


def test_a_line_that_comes_byte_by_byte_costs_what_it_has() -> None:
    splitter = Splitter(100_000)
    tracemalloc.start()

    for _ in range(20_000):
        splitter.feed(bytes([97]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert splitter.finish() == [b"a" * 20_000]
    assert peak < 1_000_000
