"""Parameters and whole operations that FastAPI does not know, as the OpenAPI document describes them."""

from typing import Any, Final

from argosy.gateway.openapi import REF, answers, content, problems
from argosy.graph import ops
from argosy.names import KEY_PATTERN, NAME_PATTERN, NAME_SIZE_BYTES_MAX, TENANT_PATTERN

# The schemas of fields and parameters that hold, as text, a turn's id, or the name of a session or a signal.
_ID: Final = {"type": "string", "format": "uuid"}
NAME: Final = {"type": "string", "minLength": 1, "maxLength": NAME_SIZE_BYTES_MAX, "pattern": NAME_PATTERN}
_NAME_IN_GRAPH: Final = NAME | {"maxLength": ops.NAME_LENGTH_MAX}
PATH_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "turn_id": _ID,
    "job_id": _ID,
    "token_id": _ID,
    "session": NAME,
    "name": NAME,
    "graph": _NAME_IN_GRAPH,
    "node": _NAME_IN_GRAPH,
    "tenant": {"type": "string", "pattern": TENANT_PATTERN},
}


def header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    given = {"type": "string", **schema}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": given}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": PATH_PARAMETERS[name]}


_TRACE = header("traceparent", "W3C trace context, passed on with the turn; an invalid value is dropped.")
KEY = header(
    "Idempotency-Key", "The same key and body again is the same request; another body is refused.", pattern=KEY_PATTERN
)
TENANT = header(
    "X-Argosy-Tenant",
    "Whom to act for, with the scope tenants:act_as; without a token it is believed with ALLOW_TENANT_HEADER=1 only.",
    pattern=TENANT_PATTERN,
)
_PREFER = header("Prefer", "`wait=N`: answer 200 with the ended turn when it ends within N seconds.")
# Each line of the answer is one of the two: the batch as a whole is answered 200.
_LINES: Final = {
    "application/x-ndjson": {
        "schema": {"anyOf": [{"$ref": REF.format(name=name)} for name in ("LineAnswer", "Problem")]}
    }
}

PLAIN_PATHS: Final[dict[str, Any]] = {
    "/v1/sessions/{session}/turns": {
        "post": {
            "tags": ["turns"],
            "summary": "Post Turn",
            "operationId": "post_turn",
            "description": "202: the log has the turn; 503: certainly not; 504: perhaps, repeat it with the same key.",
            "parameters": [
                _in_path("session"),
                KEY,
                _PREFER,
                _TRACE,
            ],
            "requestBody": {"required": True, "content": content("application/json", "TurnPosted")},
            "responses": {
                "202": {"description": "Accepted", "content": content("application/json", "TurnAccepted")},
                "200": {"description": "Ended while waited for", "content": content("application/json", "Turn")},
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
            "parameters": [_TRACE],
            "requestBody": {"required": True, "content": content("application/x-ndjson", "BatchLine")},
            "responses": {
                "200": {
                    "description": "A LineAnswer or a Problem per line",
                    "content": _LINES,
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
                _in_path("turn_id"),
                _in_path("name"),
                KEY,
            ],
            "requestBody": {
                "required": False,
                "content": {"application/json": {"schema": {}, "example": {"approved": True}}},
            },
            "responses": {
                str(status): answer for status, answer in answers("Sent", 404, 408, 409, 413, 415, 422, 429).items()
            },
        }
    },
}
