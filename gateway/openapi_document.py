"""The whole OpenAPI document (3.1): FastAPI's part, the routes that FastAPI does not know, and what the code checks.

Enums, patterns and formats are those with which the code checks: what a generated client takes for valid is valid.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from argosy.gateway.access import Access
from argosy.gateway.openapi import REF
from argosy.gateway.openapi_examples import EXAMPLES
from argosy.gateway.openapi_plain import KEY, NAME, PATH_PARAMETERS, PLAIN_PATHS, TENANT, header
from argosy.gateway.problems import KINDS
from argosy.graph.facts import GraphState
from argosy.ingest.job import JobEventType, JobKind, JobState, WaitsFor
from argosy.turn.events import STEP_STATUS_AFTER, Event, WireEvent
from argosy.turn.status import Status
from argosy.turn.wait import WaitKind

Accesses = Mapping[tuple[str, str], Access]

_SCHEME: Final = "token"
_ABOUT_TOKENS: Final = "An API token, `argosy_t_…`. The word of an operation is the scope that it needs."
_TAGS: Final = [
    {"name": "turns", "description": "Requests to sessions: posted, watched, steered."},
    {"name": "sessions", "description": "Ordered streams of turns."},
    {"name": "events", "description": "What happened and what happens: pages of history, and live streams."},
    {"name": "graphs", "description": "Memory: property graphs of a tenant, each by its name."},
    {"name": "ingest", "description": "Lines into graphs, in any number, each applied once; and what became of them."},
    {"name": "identity", "description": "Tokens and tenants: who may ask for what, and who did."},
    {"name": "fleet", "description": "For operators: workers, partitions, leaders, what could not be read."},
    {"name": "health", "description": "Of the process that answers."},
]
# Fields that hold one of a closed list of words.
_WORDS: Final[dict[tuple[str, str], Sequence[str]]] = {
    ("Explanation", "status"): tuple(Status),
    ("GraphDetail", "state"): tuple(GraphState),
    ("Head", "status"): tuple(Status),
    ("JobEvent", "type"): tuple(JobEventType),
    ("JobView", "kind"): tuple(JobKind),
    ("JobView", "status"): tuple(JobState),
    ("JobView", "waits_for"): tuple(WaitsFor),
    ("Problem", "code"): tuple(KINDS),
    ("Sent", "status"): tuple(Status),
    ("Step", "status"): tuple(STEP_STATUS_AFTER.values()),
    ("Turn", "status"): tuple(Status),
    ("TurnAccepted", "status"): (Status.ACCEPTED,),
    ("TurnEvent", "type"): (*Event, WireEvent.STEP_PRIVATE),
    ("TurnSummary", "status"): tuple(Status),
    ("Wait", "kind"): tuple(WaitKind),
}
# Shapes that clients send.
_POSTED: Final = (
    "AclPosted",
    "BatchLine",
    "BatchPosted",
    "DeleteEdge",
    "DeleteNode",
    "GraphPosted",
    "LoginPosted",
    "MergeProps",
    "NeighborsPosted",
    "QueryPosted",
    "RecallPosted",
    "RotationPosted",
    "SearchPosted",
    "TenantChange",
    "TenantPosted",
    "TokenPosted",
    "TurnPosted",
    "UpsertEdge",
    "UpsertNode",
)
_ID_FIELDS: Final = re.compile(r"(requested_)?turn_id|job_id|(signal|cancel|resume)_id|token_id|replaced_by")
_TIME_FIELDS: Final = re.compile(r"(.+_)?at|since|accepted_through|not_before")

_LAST_EVENT_ID = header("Last-Event-ID", "A stream goes on after this event, whatever `from` says.", maxLength=100)
# Headers that the code of FastAPI's routes reads from the request, so that FastAPI does not know of them; by operation.
_READ_HEADERS: Final = {
    "apply_ops": KEY,
    "get_job_events": _LAST_EVENT_ID,
    "get_session_events": _LAST_EVENT_ID,
    "get_turn_events": _LAST_EVENT_ID,
    "ingest": KEY,
    "post_resume": KEY,
}


def install(app: FastAPI, shapes: Sequence[Any], accesses: Accesses, *, is_required: bool) -> None:
    """Make app serve this document. shapes: every struct that a route reads or answers. accesses: what each (method,
    path) needs. is_required: requests need a token (KG_AUTH_REQUIRED).
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, shapes, accesses, is_required=is_required)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI, shapes: Sequence[Any], accesses: Accesses, *, is_required: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=_TAGS
    )
    document["paths"] = dict(sorted((document["paths"] | _merged(document["paths"])).items()))
    for path, method, operation in _operations(document):
        _complete(path, operation, is_open=accesses[method, path].is_open)
        operation |= _security(accesses[method, path], is_required=is_required)
    of_fastapi = document.get("components", {}).get("schemas", {})
    own = {name: schema for name, schema in of_fastapi.items() if "ValidationError" not in name}
    document["components"] = {
        "schemas": dict(sorted((own | _schemas(shapes)).items())),
        "securitySchemes": {_SCHEME: {"type": "http", "scheme": "bearer", "description": _ABOUT_TOKENS}},
    }
    plain: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(document)
    )  # as JSON has it: no tuples, keys are text
    return plain


def _security(access: Access, *, is_required: bool) -> dict[str, Any]:
    """Return what an operation needs. {}: nothing, because who has no token is taken for a local user."""
    if access.is_open:
        return {"security": []}
    needed: list[dict[str, list[str]]] = [{_SCHEME: [str(access.scope)] if access.scope else []}]
    return {"security": needed if is_required else [*needed, {}]}


def _merged(paths: dict[str, Any]) -> dict[str, Any]:
    return {path: paths.get(path, {}) | deepcopy(methods) for path, methods in PLAIN_PATHS.items()}


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _complete(path: str, operation: dict[str, Any], *, is_open: bool) -> None:
    """Add what FastAPI does not know of an operation: what names in its path may be, and headers that its code reads.

    FastAPI's own 422 is removed.
    """
    if _is_of_fastapi(operation):
        del operation["responses"]["422"]
    given = operation.get("parameters", [])
    parameters = [
        each | {"schema": PATH_PARAMETERS.get(each["name"], each["schema"])} if each["in"] == "path" else each
        for each in given
    ]
    if path.startswith("/v1/"):
        read = _READ_HEADERS.get(operation["operationId"])
        parameters += [*([] if read is None else [read]), *([] if is_open else [TENANT])]
    if parameters:
        operation["parameters"] = parameters


def _is_of_fastapi(operation: dict[str, Any]) -> bool:
    """Whether the operation's 422 is FastAPI's answer to a parameter that cannot be read: a gateway answers 400."""
    return "HTTPValidationError" in str(operation["responses"].get("422", ""))


def _schemas(shapes: Sequence[Any]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(shapes, ref_template=REF)
    schemas["Problem"] = schemas.pop("ProblemBody") | {"title": "Problem"}
    for (name, field), words in _WORDS.items():
        schemas[name]["properties"][field] |= {"enum": [str(word) for word in words]}
    for name, schema in schemas.items():
        for field, described in schema.get("properties", {}).items():
            for each in (described, *described.get("anyOf", ())):
                _set_format(field, each)
                _set_items(each)
        if name in EXAMPLES:
            schema["examples"] = EXAMPLES[name]
    for name, field in (("BatchLine", "session"), ("TurnAccepted", "session")):
        schemas[name]["properties"][field] |= NAME
    for name in _POSTED:
        for described in schemas[name]["properties"].values():
            _set_optional(described)
            for each in (described, *described.get("anyOf", ())):
                _set_integer(each)
    return dict(schemas)


def _set_optional(described: dict[str, Any]) -> None:
    """Describe a field's default in words only: generators take a field with a default for one that is always there."""
    default = described.pop("default", None)
    if default:
        described["description"] = f"{default!r} unless it is given."


def _set_integer(described: dict[str, Any]) -> None:
    """Give a whole number the type integer, for clients. The code has it as a float: a route takes 7.0, too."""
    if described.get("multipleOf") == 1:
        del described["multipleOf"]
        described["type"] = "integer"


def _set_items(described: dict[str, Any]) -> None:
    """Give arrays of anything an empty schema of items: some generators refuse an array without."""
    if described.get("type") == "array":
        _set_items(described.setdefault("items", {}))


def _set_format(field: str, described: dict[str, Any]) -> None:
    """Set the format of a text field that holds an id or a time, where msgspec has set none."""
    if described.get("type") == "string" and "format" not in described:
        if _ID_FIELDS.fullmatch(field):
            described["format"] = "uuid"
        elif _TIME_FIELDS.fullmatch(field):
            described["format"] = "date-time"
