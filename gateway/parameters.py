"""Query parameters: unknown ones are refused, and known ones have a bound."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import Depends, Query
from starlette.requests import Request

from argosy.gateway.problems import Problem

# The largest value of a Postgres integer.
INTEGER_MAX: Final = 2_147_483_647
PAGE_SIZE: Final = 50
# No text in Postgres can hold a NUL, so no text that a client looks for may have one.
NO_NUL_PATTERN: Final = r"^[^\x00]*$"

Limit = Annotated[int | None, Query(ge=1, le=INTEGER_MAX, description="The most rows of a page, up to a bound.")]
Cursor = Annotated[str | None, Query(max_length=2_000, description="The `next` of the previous page.")]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def _only_known(request: Request) -> None:
    known: set[str] = {field.alias for field in request.scope["route"].dependant.query_params}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        shown = f"this address knows {', '.join(sorted(known)) or 'none'}"
        raise Problem("invalid_parameter", f"{unknown[0][:80]!r} is not a parameter: {shown}")
    twice = [name for name in known if len(request.query_params.getlist(name)) > 1]
    if twice:
        raise Problem("invalid_parameter", f"{twice[0]!r} is given more than once")
    # A cursor with a NUL is refused where it is decoded (invalid_cursor).
    if broken := [name for name, value in request.query_params.items() if "\0" in value and name != "cursor"]:
        raise Problem("invalid_parameter", f"{broken[0]!r} has a NUL in it")


strict: Final[Any] = Depends(_only_known)


def page_size(limit: int | None, size_max: int, default: int = PAGE_SIZE) -> int:
    """Return the number of rows of this page: the limit that was asked for, or default, and size_max at the most."""
    return min(limit or default, size_max)


def microseconds(moment: datetime) -> int:
    """Return a moment as cursors hold it: whole microseconds since 1970, which are exact, unlike a float."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value_us: int) -> datetime:
    """Return the moment that a cursor holds."""
    return _EPOCH + timedelta(microseconds=value_us)
