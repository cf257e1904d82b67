"""What a gateway keeps in memory of a token."""

import tracemalloc
import uuid
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from argosy.gateway import known_token
from argosy.gateway.known_token import KnownToken
from argosy.store.identity import TokenRow

_COUNT: Final = 2_000
_OF_TOKENS: Final = [tracemalloc.Filter(True, name) for name in (known_token.__file__, __file__)]
_MADE_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)


def row(number: int, **changes: Any) -> TokenRow:
    made = TokenRow(
        uuid.UUID(int=number), number.to_bytes(32), "acme", "name", "user", (), None, None, "hint", _MADE_AT, "test",
        datetime.fromtimestamp(2e9 + number, UTC), None, None, None, None, 1_000_000 + number, None,
    )  # fmt: skip
    return made._replace(**changes)


def size_bytes(**changes: Any) -> float:
    """Of a token in memory, on the average: the second time, when what tokens share is there. What other threads of the
    process allocate meanwhile does not count.
    """
    taken = 0
    for _ in range(2):
        tracemalloc.start()
        kept = [KnownToken(row(number, **changes)) for number in range(_COUNT)]
        found = tracemalloc.take_snapshot().filter_traces(_OF_TOKENS)
        tracemalloc.stop()
        assert len(kept) == _COUNT
        taken = sum(each.size for each in found.traces)
    return taken / _COUNT


def test_a_token_takes_some_250_bytes_and_its_subject_only_where_that_is_another() -> None:
    plain, rotated = size_bytes(), size_bytes(subject_id=uuid.uuid4())

    assert plain < 280
    assert plain < rotated <= plain + 32


@pytest.mark.parametrize("subject", [None, uuid.UUID(int=7)])
def test_lists_know_a_token_by_its_subject_or_else_by_its_id(subject: uuid.UUID | None) -> None:
    token = KnownToken(row(1, subject_id=subject))

    assert token.token_id == token.principal.token_id == uuid.UUID(int=1)
    assert token.principal.id == str(uuid.UUID(int=1))
    assert token.principal.known_as == str(subject or uuid.UUID(int=1))


def test_a_token_of_a_database_that_went_back_is_whom_that_has() -> None:
    token = KnownToken(row(1, subject_id=uuid.UUID(int=7)))
    assert token.principal.known_as == str(uuid.UUID(int=7))

    token.replace(KnownToken(row(1)))

    assert token.principal.known_as == str(uuid.UUID(int=1))
