"""The OpenAPI document (3.1): one place for what every route answers.

Shapes come from the msgspec structs that are encoded and decoded, so the document cannot drift from the code; the
routes that FastAPI does not know are described here.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from argosy.gateway.problems import CONTENT_TYPE, KINDS

_REF: Final = "#/components/schemas/{name}"


def _content(media_type: str, schema_name: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REF.format(name=schema_name)}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers that are problems; 400 and 503 always among them."""
    return {
        status: {
            "description": " · ".join(code for code, kind in KINDS.items() if kind.status == status),
            "content": _content(CONTENT_TYPE, "Problem"),
        }
        for status in sorted({400, 503, *statuses})
    } | {"default": {"description": "Any other problem", "content": _content(CONTENT_TYPE, "Problem")}}


def answers(schema_name: str, *problem_statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route: a shape, and problems."""
    status = 202 if schema_name in {"Sent", "Resumed"} else 200
    shown = {"description": schema_name, "content": _content("application/json", schema_name)}
    return {status: shown} | problems(*problem_statuses)


def or_stream(described: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that answers with a stream, too. described: its other ones."""
    shown = described.get(200, {"description": "A stream"})
    streams = {
        media_type: {"schema": {"type": "string"}} for media_type in ("text/event-stream", "application/x-ndjson")
    }
    return described | {
        200: shown | {"content": shown.get("content", {}) | streams},
        204: {"description": "The turn has ended, and everything was seen"},
    }


class Sent(msgspec.Struct, kw_only=True):
    """What was sent to a turn is written down. One of the three ids is there."""

    turn_id: str
    requested_turn_id: str | None = None
    status: str
    name: str | None = None
    signal_id: str | None = None
    cancel_id: str | None = None
    resume_id: str | None = None


class Resumed(msgspec.Struct, kw_only=True):
    """So many parked turns run on. has_more: others match, too."""

    resumed: int
    has_more: bool


class Links(msgspec.Struct, kw_only=True):
    self: str
    events: str
    explain: str
    cancel: str


class TurnAccepted(msgspec.Struct, kw_only=True):
    """The log has the turn: it ends exactly once, whatever dies."""

    turn_id: str
    session: str
    status: str
    links: Links


class LineAnswer(msgspec.Struct, kw_only=True):
    """One line of a batch's answer; with another status, the line is a Problem."""

    status: int
    turn_id: str


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


_TRACE = _header("traceparent", "W3C trace context, passed on with the turn.")
_KEY = _header("Idempotency-Key", "The same key and body again is the same turn; another body is refused.")
_TENANT = _header("X-Argosy-Tenant", "Believed with ALLOW_TENANT_HEADER=1 only.")
_PREFER = _header("Prefer", "`wait=N`: answer 200 with the ended turn when it ends within N seconds.")

PLAIN_PATHS: Final[dict[str, Any]] = {
    "/v1/sessions/{session}/turns": {
        "post": {
            "tags": ["turns"],
            "summary": "Post Turn",
            "operationId": "post_turn",
            "description": "202: the log has the turn; 503: certainly not; 504: perhaps, repeat it with the same key.",
            "parameters": [
                {"name": "session", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 256}},
                _KEY,
                _PREFER,
                _TRACE,
                _TENANT,
            ],
            "requestBody": {"required": True, "content": _content("application/json", "TurnPosted")},
            "responses": {
                "202": {"description": "Accepted", "content": _content("application/json", "TurnAccepted")},
                "200": {"description": "Ended while waited for", "content": _content("application/json", "Turn")},
            }
            | {str(status): answer for status, answer in problems(408, 413, 415, 422, 429, 504).items()},
        }
    },
    "/v1/turns:batch": {
        "post": {
            "tags": ["turns"],
            "summary": "Post Batch",
            "operationId": "post_batch",
            "description": "A turn per line in, an answer per line out, in the same order.",
            "parameters": [_TRACE, _TENANT],
            "requestBody": {"required": True, "content": _content("application/x-ndjson", "BatchLine")},
            "responses": {
                "200": {
                    "description": "A LineAnswer or a Problem per line",
                    "content": _content("application/x-ndjson", "LineAnswer"),
                }
            }
            | {str(status): answer for status, answer in problems(408, 413, 415).items()},
        }
    },
    "/v1/turns/{turn_id}/signals/{name}": {
        "post": {
            "tags": ["turns"],
            "summary": "Post Signal",
            "operationId": "post_signal",
            "description": "Deliver a signal to one turn, once. The body (any JSON, null without one) is its payload.",
            "parameters": [
                {"name": "turn_id", "in": "path", "required": True, "schema": {"type": "string"}},
                {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 256}},
                _KEY,
                _TENANT,
            ],
            "requestBody": {"required": False, "content": {"application/json": {"schema": {}}}},
            "responses": {
                str(status): answer for status, answer in answers("Sent", 404, 408, 409, 413, 415, 429).items()
            },
        }
    },
}


def install(app: FastAPI, shapes: Sequence[Any]) -> None:
    """Make app describe itself. shapes: every struct that a route reads or answers."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, components = msgspec.json.schema_components(shapes, ref_template=_REF)
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(components)
            schemas["Problem"] = schemas.pop("ProblemBody")
            for path, methods in PLAIN_PATHS.items():
                document["paths"].setdefault(path, {}).update(methods)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
