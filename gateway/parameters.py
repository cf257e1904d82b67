"""Query parameters: what is not known is refused, and what is known has a bound."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import Depends, Query
from starlette.requests import Request

from argosy.gateway.problems import Problem

# What a Postgres integer holds.
INTEGER_MAX: Final = 2_147_483_647
PAGE_SIZE: Final = 50
# No text of Postgres can hold a NUL, so nothing that is looked for can have it.
NO_NUL_PATTERN: Final = r"^[^\x00]*$"

Limit = Annotated[int | None, Query(ge=1, le=INTEGER_MAX, description="Rows of a page at the most; there is a bound.")]
Cursor = Annotated[str | None, Query(max_length=2_000, description="The `next` of the page before.")]

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
    # What has a pattern says so in its own words.
    if broken := [name for name, value in request.query_params.items() if "\0" in value and name != "cursor"]:
        raise Problem("invalid_parameter", f"{broken[0]!r} has a NUL in it")


strict: Final[Any] = Depends(_only_known)


def page_size(limit: int | None, size_max: int, default: int = PAGE_SIZE) -> int:
    """Rows of this page."""
    return min(limit or default, size_max)


def microseconds(moment: datetime) -> int:
    """A moment as cursors hold it: exact, unlike a float."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value_us: int) -> datetime:
    """The moment in a cursor."""
    return _EPOCH + timedelta(microseconds=value_us)
