"""Errors that cross a call, also between processes of two versions."""

import msgspec
import pytest

from argosy.errors import (
    ArgosyError,
    GraphDroppedError,
    GraphMovingError,
    InternalError,
    ListsDisagreeError,
    ShardBusyError,
    WrongOwnerError,
)
from argosy.rpc.refusals import decode, encode, error_of, refusal_of, status_of


class OlderRefusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """As the version before knew it."""

    code: str
    message: str
    position: tuple[int, int] | None = None
    now_ms: int = 0


@pytest.mark.parametrize("kind", [WrongOwnerError, GraphDroppedError, ShardBusyError, ListsDisagreeError])
def test_an_error_comes_back_as_it_was_raised(kind: type[ArgosyError]) -> None:
    error = error_of(decode(encode(refusal_of(kind("why")))))

    assert (type(error), str(error)) == (kind, "why")


def test_an_error_that_has_no_place_in_a_call_is_one_of_argosys() -> None:
    assert type(error_of(refusal_of(GraphMovingError("why")))) is InternalError


def test_a_version_before_takes_a_narrower_error_for_the_wider_one_that_it_knows() -> None:
    refusal = refusal_of(GraphDroppedError("why"))
    older = msgspec.json.decode(encode(refusal), type=OlderRefusal)

    assert (older.code, older.message) == (WrongOwnerError.code, "why")
    assert status_of(refusal) == status_of(refusal_of(WrongOwnerError("why")))
    assert type(error_of(decode(msgspec.json.encode(older)))) is WrongOwnerError
