"""What a fuzzer cannot know: which refusals of a valid request are right. Schemathesis loads this (SCHEMATHESIS_HOOKS).

A schema says how a request looks, not what there is: of each operation these are the codes that it may answer to a
request that fits its schema, and what must be true of the request then. Anything else is a mismatch of document and
route.
"""

import os
import time
from typing import Any, Final

import schemathesis

# A session is there once a worker has accepted its first turn.
ACCEPTED_WITHIN_S: Final = 10.0
# A workflow that a worker of the fleet has.
WORKFLOW: Final = "echo"
# Of whom an administrator's token names one, where tokens are needed; of a made-up one nothing would be shown.
TENANT: Final = os.environ.get("FUZZED_TENANT")
# A made-up name is that of no graph.
_OF_GRAPHS: Final = frozenset(
    {"graph_not_found", "invalid_cursor", "invalid_graph", "invalid_graph_input", "unconfirmed"}
)
REFUSALS: Final[dict[str, frozenset[str]]] = {
    "apply_ops": _OF_GRAPHS | {"invalid_request"},
    "cancel_job": frozenset({"job_not_found"}),
    "delete_graph": _OF_GRAPHS,
    "export_graph": _OF_GRAPHS,
    "explain_turn": frozenset({"turn_not_found"}),
    "get_erasures": frozenset({"invalid_cursor"}),
    "get_one_erasure": frozenset({"erasure_not_found"}),
    "post_erasure": frozenset(
        {"idempotency_mismatch", "invalid_graph", "invalid_id", "invalid_request", "invalid_session", "turn_not_found"}
        | {"unconfirmed"}
    ),
    "get_fleet": frozenset({"invalid_cursor", "insufficient_scope"}),
    "get_graph": _OF_GRAPHS,
    "get_graph_acl": _OF_GRAPHS,
    "set_graph_acl": _OF_GRAPHS,
    "get_healthz": frozenset(),
    "get_job": frozenset({"job_not_found"}),
    "get_job_events": frozenset({"invalid_event_id", "invalid_parameter", "job_not_found"}),
    "get_leaders": frozenset({"insufficient_scope"}),
    "get_shards": frozenset({"insufficient_scope"}),
    "get_moves": frozenset({"insufficient_scope"}),
    "get_neighbors": _OF_GRAPHS,
    "get_node": _OF_GRAPHS,
    "get_readyz": frozenset(),
    "get_rejects": frozenset({"job_not_found"}),
    "get_session": frozenset({"invalid_session", "session_not_found"}),
    "get_turn": frozenset({"turn_not_found"}),
    "get_turn_events": frozenset({"invalid_event_id", "invalid_parameter", "turn_not_found"}),
    "list_dead_letters": frozenset({"insufficient_scope", "invalid_cursor"}),
    "list_jobs": _OF_GRAPHS,
    "list_graphs": _OF_GRAPHS,
    "list_nodes": _OF_GRAPHS,
    "list_partitions": frozenset({"invalid_cursor", "insufficient_scope"}),
    "list_session_turns": frozenset({"invalid_cursor", "invalid_session", "session_not_found"}),
    "list_sessions": frozenset({"invalid_cursor"}),
    "list_workflows": frozenset({"invalid_cursor"}),
    "post_cancel": frozenset({"turn_ended", "turn_not_found"}),
    "post_resume": frozenset({"not_parked", "turn_ended", "turn_not_found"}),
    "post_resume_all": frozenset(),
    "post_signal": frozenset({"idempotency_mismatch", "invalid_request", "turn_ended", "turn_not_found"}),
    "query_graph": _OF_GRAPHS,
    "recall_from_graph": _OF_GRAPHS,
    "search_graph": _OF_GRAPHS,
    "summarize_graph": _OF_GRAPHS,
    "create_tenant": frozenset({"insufficient_scope", "tenant_exists"}),
    "change_tenant": frozenset({"insufficient_scope", "invalid_request", "tenant_not_found"}),
    "delete_tenant": frozenset({"insufficient_scope", "invalid_request", "tenant_not_found", "unconfirmed"}),
    "get_deletion": frozenset({"erasure_not_found", "insufficient_scope"}),
    "list_tenants": frozenset({"insufficient_scope", "invalid_cursor"}),
    "create_token": frozenset(
        {"insufficient_scope", "invalid_request", "rate_limited", "tenant_not_found", "too_many_tokens"}
    ),
    "revoke_subject": frozenset({"insufficient_scope", "invalid_request"}),
    "revoke_token": frozenset({"token_not_found"}),
    "rotate_token": frozenset({"rate_limited", "token_not_found", "token_rotated"}),
    "list_tokens": frozenset({"invalid_cursor"}),
    "get_audit": frozenset({"invalid_cursor"}),
    "whoami": frozenset(),
    # A fuzzer is no browser: it says of no request that a page of the gateway sent it.
    "log_in": frozenset({"foreign_origin"}),
    "log_out": frozenset(),
    "get_login_methods": frozenset(),
    "post_turn": frozenset({"idempotency_mismatch", "invalid_request", "invalid_session", "unknown_workflow"}),
}

_turns: set[tuple[str, str]] = set()
_sessions: dict[tuple[str, str], float] = {}


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_case(context: Any, case: Any) -> Any:
    """Ask for a workflow that there is: of a made-up one nothing but its name would be looked at. Suspend no tenant."""
    if _operation_of(case) == "post_turn" and isinstance(case.body, dict):
        workflow = case.body.get("workflow")
        if isinstance(workflow, str) and 1 <= len(workflow) <= 200:
            case.body["workflow"] = WORKFLOW
    if _operation_of(case) == "change_tenant" and isinstance(case.body, dict) and _is_positive(case):
        if "state" in case.body:
            case.body["state"] = "active"  # a tenant that is suspended would be refused everything else
            case.body.pop("limits", None)  # one of the two
        elif case.body.get("limits"):
            case.body["limits"] = {"streams": 1_000_000}  # so would one whose rates are low
    return case


@schemathesis.hook  # type: ignore[untyped-decorator]
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Name the tenant in whatever fits the document, its own examples included."""
    headers = case.headers or {}
    if TENANT is not None and (_is_positive(case) or "X-Argosy-Tenant" not in headers):
        case.headers = {**headers, "X-Argosy-Tenant": TENANT}


@schemathesis.check  # type: ignore[untyped-decorator]
def refused_for_what_a_schema_cannot_say(ctx: Any, response: Any, case: Any) -> None:
    """Raises AssertionError."""
    operation = _operation_of(case)
    _remember(operation, response, case)
    if not _is_positive(case) or response.status_code < 400:
        return
    code = response.json()["code"]
    assert code in REFUSALS[operation], f"{operation} says {code} to a request that fits its schema"
    assert _is_true(code, case), f"{operation} says {code}, which is not so"


def _remember(operation: str, response: Any, case: Any) -> None:
    if operation == "post_turn" and response.status_code in (200, 202):
        tenant = _tenant_of(case)
        _turns.add((tenant, response.json()["turn_id"]))
        _sessions.setdefault((tenant, str(case.path_parameters["session"])), time.monotonic())


def _is_true(code: str, case: Any) -> bool:
    """Whether what a code says can be so. What cannot be known here is believed."""
    tenant, path, query = _tenant_of(case), case.path_parameters or {}, case.query or {}
    headers = {name.lower() for name in case.headers or {}}
    match code:
        case "invalid_cursor":
            return "cursor" in query
        case "unconfirmed":
            named = path.get("graph", path.get("tenant"))
            return named is None or bool(query.get("confirm") != named)
        case "invalid_event_id" | "invalid_parameter":  # both are of a stream; Accept may ask for a page
            return "from" in query or "last-event-id" in headers
        case "invalid_session" if "session" in path:  # its bound is in bytes
            return len(str(path["session"]).encode()) > 256
        case "invalid_request":  # so is that of a signal's name; not_before has a bound that moves
            if _operation_of(case) == "revoke_subject":  # there is no issuer
                return True
            if _operation_of(case) in ("post_erasure", "create_token", "change_tenant"):  # fields that need each other
                return True
            if _operation_of(case) == "delete_tenant":
                return bool(path["tenant"] == "default")
            if _operation_of(case) == "apply_ops":  # two keys
                return "idempotency-key" in headers and "idempotency_key" in _body_of(case)
            return len(str(path.get("name", "")).encode()) > 256 or bool(_body_of(case).get("not_before"))
        case "insufficient_scope":
            return tenant != "default"
        case "turn_not_found" if "turn_id" in path:
            return (tenant, str(path["turn_id"]).lower()) not in _turns
        case "session_not_found":
            posted_at_s = _sessions.get((tenant, str(path["session"])))
            return posted_at_s is None or time.monotonic() - posted_at_s < ACCEPTED_WITHIN_S
        case "unknown_workflow":
            return bool(_body_of(case).get("workflow") != WORKFLOW)
        case "idempotency_mismatch":
            return "idempotency-key" in headers
    return True


def _body_of(case: Any) -> dict[str, Any]:
    return case.body if isinstance(case.body, dict) else {}


def _tenant_of(case: Any) -> str:
    return str((case.headers or {}).get("X-Argosy-Tenant", "default"))


def _is_positive(case: Any) -> bool:
    """Whether a request fits its schema."""
    return case.meta is not None and bool(case.meta.generation.mode.is_positive)


def _operation_of(case: Any) -> str:
    return str(case.operation.definition.raw["operationId"])
