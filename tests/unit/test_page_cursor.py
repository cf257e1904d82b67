"""Page cursors are read by every process with the secret, and only for their list."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.gateway.page_cursor import PageCursors
from argosy.gateway.problems import Problem

NAME = ("turns", "default", "default", None)
PLACE = (1_700_000_000_000_001, uuid.UUID(int=7))
Place = tuple[int, uuid.UUID]


def test_a_cursor_of_another_secret_is_read_and_none_is_made_with_it() -> None:
    old, new = PageCursors(b"o" * 32), PageCursors(b"n" * 32, previous=b"o" * 32)

    assert new.decode(NAME, old.encode(NAME, PLACE), Place) == PLACE
    assert new.encode(NAME, PLACE) == PageCursors(b"n" * 32).encode(NAME, PLACE)
    with pytest.raises(Problem):
        new.decode(NAME, PageCursors(b"x" * 32).encode(NAME, PLACE), Place)


def test_a_cursor_is_read_by_another_process() -> None:
    cursor = PageCursors(b"s" * 32).encode(NAME, PLACE)

    assert PageCursors(b"s" * 32).decode(NAME, cursor, Place) == PLACE


@pytest.mark.parametrize(
    "name", [("turns", "other", "default", None), ("sessions",), ("turns", "default", "default", "x")]
)
def test_a_cursor_fits_no_other_list(name: tuple[str | None, ...]) -> None:
    cursors = PageCursors(b"s" * 32)

    with pytest.raises(Problem):
        cursors.decode(name, cursors.encode(NAME, PLACE), Place)


def test_a_cursor_with_another_secret_is_refused() -> None:
    with pytest.raises(Problem):
        PageCursors(b"s" * 32).decode(NAME, PageCursors(b"t" * 32).encode(NAME, PLACE), Place)


@given(text=st.text(max_size=60))
def test_no_text_is_a_cursor_by_chance(text: str) -> None:
    with pytest.raises(Problem) as caught:
        PageCursors(b"s" * 32).decode(NAME, text, Place)

    assert caught.value.code == "invalid_cursor"
