"""The answers of routes, as the OpenAPI document (3.1) describes them.

Shapes come from the msgspec structs that the routes encode and decode, so the document cannot drift from the code.
"""

from typing import Any, Final

import msgspec

from argosy.gateway.problems import CONTENT_TYPE, KINDS

REF: Final = "#/components/schemas/{name}"
# What any route may answer: 400 the request cannot be read, 401 its credential is not good, 403 a page of another
# origin sent it, or the credential has no right to it, 404 the tenant that it acts for is not there, 421 Host is none
# of the gateway's names, 429 its sender sent too many bad credentials, 431 its head is too large, 500 an error of
# Argosy's own, 503 Postgres or the log does not answer.
_ANYWHERE: Final = frozenset({400, 401, 403, 404, 421, 429, 431, 500, 503})
_CHALLENGE: Final = {"WWW-Authenticate": {"description": "RFC 6750, 3.", "schema": {"type": "string"}}}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}


def content(media_type: str, schema_name: str) -> dict[str, Any]:
    """Return the description of a body of this shape."""
    return {media_type: {"schema": {"$ref": REF.format(name=schema_name)}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of problems with these statuses, and of those that any route may answer."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*_ANYWHERE, *statuses}):
        kinds = {code: kind for code, kind in KINDS.items() if kind.status == status}
        described[status] = {"description": " · ".join(kinds), "content": content(CONTENT_TYPE, "Problem")}
        if any(kind.is_retryable for kind in kinds.values()):
            described[status]["headers"] = _RETRY_AFTER
        if status in (401, 403):
            described[status]["headers"] = _CHALLENGE
    return described


def answers(schema_name: str, *problem_statuses: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of a route's answers: one shape, and problems."""
    status = 202 if schema_name in {"Sent", "Resumed"} else status
    shown = {"description": schema_name, "content": content("application/json", schema_name)}
    return {status: shown} | problems(*problem_statuses)


def or_stream(described: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of the answers of a route that may answer a stream. described: its other answers."""
    shown = described.get(200, {"description": "A stream"})
    streams = {
        media_type: {"schema": {"type": "string"}} for media_type in ("text/event-stream", "application/x-ndjson")
    }
    return described | {
        200: shown | {"content": shown.get("content", {}) | streams},
        204: {"description": "It has ended, and everything was seen"},
    }


class Sent(msgspec.Struct, kw_only=True):
    """What was sent to a turn is durable. One of signal_id, cancel_id and resume_id is there."""

    turn_id: str
    requested_turn_id: str | None = None
    status: str
    name: str | None = None
    signal_id: str | None = None
    cancel_id: str | None = None
    resume_id: str | None = None


class Resumed(msgspec.Struct, kw_only=True):
    """How many parked turns were resumed. has_more: more of them match."""

    resumed: int
    has_more: bool


class Links(msgspec.Struct, kw_only=True):
    self: str
    events: str
    explain: str
    cancel: str


class TurnAccepted(msgspec.Struct, kw_only=True):
    """The log has the turn: it ends exactly once, whichever process dies."""

    turn_id: str
    session: str
    status: str
    links: Links


class LineAnswer(msgspec.Struct, kw_only=True):
    """The line of a batch's answer for a turn that was accepted. For any other turn the line is a Problem."""

    status: int
    turn_id: str
