"""A gzip is inflated piece by piece; one that is cut off, is none, or is a bomb is refused."""

import gzip
import random
import tracemalloc
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import GzipError
from argosy.ingest.inflate import PIECE_SIZE_BYTES, Inflater
from tests.ingest.test_split import cut


def inflate(data: bytes, at: list[int] | None = None, ratio_max: float = 200.0) -> bytes:
    inflater = Inflater(ratio_max)
    pieces = [piece for block in cut(data, at or []) for piece in inflater.feed(block)]
    inflater.finish()
    assert max(map(len, pieces), default=0) <= PIECE_SIZE_BYTES
    return b"".join(pieces)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.lists(st.integers(0, 400), max_size=30))
def test_members_are_one_text_wherever_the_blocks_end(members: list[bytes], at: list[int]) -> None:
    data = b"".join(gzip.compress(each) for each in members)
    assert inflate(data, at) == b"".join(members)


@pytest.mark.parametrize("content", [bytes(300_000), random.Random(1).randbytes(300_000)], ids=["zeros", "noise"])
def test_what_is_larger_than_a_piece_comes_in_pieces(content: bytes) -> None:
    assert inflate(gzip.compress(content) * 3) == content * 3


@given(st.data())
def test_what_is_cut_off_anywhere_is_refused(data: st.DataObject) -> None:
    whole = gzip.compress(b"lines\n" * 50) + gzip.compress(b"more\n")
    first = len(gzip.compress(b"lines\n" * 50))
    end = data.draw(st.integers(0, len(whole) - 1).filter(lambda each: each != first))
    with pytest.raises(GzipError, match="cut off"):
        inflate(whole[:end], data.draw(st.lists(st.integers(0, end), max_size=5)))


@pytest.mark.parametrize(
    "data",
    [
        b"{}\n",
        gzip.compress(b"{}\n") + b"{}\n",
        gzip.compress(b"{}\n")[:-8] + bytes(8),  # its checksum
        gzip.compress(b"{}\n")[:-4] + bytes(4),  # its length
    ],
    ids=["no gzip", "rubbish behind it", "checksum", "length"],
)
def test_what_is_no_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(GzipError, match="no valid gzip"):
        inflate(data)


def test_a_bomb_is_refused_before_it_bursts() -> None:
    bomb = gzip.compress(bytes(80_000_000), 6)
    tracemalloc.start()

    with pytest.raises(GzipError, match="200 times"):
        deque(Inflater(200).feed(bomb), maxlen=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2_000_000


def test_a_bomb_of_lines_of_nothing_is_refused_after_a_million_or_so() -> None:
    pieces, taken = Inflater(200).feed(gzip.compress(b"\n" * 20_000_000, 6)), [0]

    with pytest.raises(GzipError, match="200 times"):
        taken.extend(piece.count(b"\n") for piece in pieces)

    assert sum(taken) < 1_200_000


def test_much_of_the_same_is_no_bomb_while_it_is_small() -> None:
    assert len(inflate(gzip.compress(bytes(10_000_000)), ratio_max=2)) == 10_000_000


def test_members_of_nothing_are_taken_in_time_that_grows_with_them() -> None:
    assert inflate(gzip.compress(b"") * 20_000) == b""
