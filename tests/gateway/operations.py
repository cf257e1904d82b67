"""Every operation of the API, and what whoever asks for it needs."""

from typing import Any, Final, NamedTuple

from argosy.identity.scopes import Scope

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
NODE: Final = {"op": "upsert_node", "id": "ada", "label": "Person"}


class Op(NamedTuple):
    """An operation. scope: that it needs; None: any good credential will do. missing: the code with which one is
    answered who asks for what is another tenant's; empty: it shows and changes what the asker has. is_open: nobody is
    asked. is_of_installation: of no tenant. is_endless: a stream that goes on until somebody ends it.
    """

    scope: Scope | None
    missing: str = ""
    body: Any = None
    query: str = ""
    media_type: str = JSON
    is_open: bool = False
    is_of_installation: bool = False
    is_endless: bool = False


TURN, SESSION, GRAPH, JOB = "turn_not_found", "session_not_found", "graph_not_found", "job_not_found"
TOKEN = "token_not_found"
OPERATIONS: Final[dict[tuple[str, str], Op]] = {
    ("GET", "/healthz"): Op(None, is_open=True),
    ("GET", "/readyz"): Op(None, is_open=True),
    ("GET", "/v1/whoami"): Op(None),
    ("GET", "/v1/login"): Op(None, is_open=True),
    ("POST", "/v1/login"): Op(None, is_open=True, body={"token": "nonsense"}),
    ("POST", "/v1/logout"): Op(None, is_open=True),
    ("GET", "/v1/turns/{turn_id}"): Op(Scope.TURNS_READ, TURN),
    ("GET", "/v1/turns/{turn_id}/explain"): Op(Scope.TURNS_READ, TURN),
    ("GET", "/v1/turns/{turn_id}/events"): Op(Scope.EVENTS_READ, TURN),
    ("POST", "/v1/turns/{turn_id}/signals/{name}"): Op(Scope.SIGNALS_WRITE, TURN, {}),
    ("POST", "/v1/turns/{turn_id}/cancel"): Op(Scope.TURNS_CANCEL, TURN),
    ("POST", "/v1/turns/{turn_id}/resume"): Op(Scope.TURNS_RESUME, TURN),
    ("POST", "/v1/turns:resume"): Op(Scope.TURNS_RESUME),
    ("POST", "/v1/turns:batch"): Op(
        Scope.TURNS_WRITE, body={"session": "batch", "workflow": "echo", "input": 1}, media_type=NDJSON
    ),
    ("POST", "/v1/sessions/{session}/turns"): Op(Scope.TURNS_WRITE, body={"workflow": "echo", "input": 1}),
    ("GET", "/v1/sessions"): Op(Scope.SESSIONS_READ),
    ("GET", "/v1/sessions/{session}"): Op(Scope.SESSIONS_READ, SESSION),
    ("GET", "/v1/sessions/{session}/turns"): Op(Scope.SESSIONS_READ, SESSION),
    ("GET", "/v1/sessions/{session}/events"): Op(Scope.EVENTS_READ, is_endless=True),
    ("GET", "/v1/graphs"): Op(Scope.GRAPHS_READ),
    ("POST", "/v1/graphs"): Op(Scope.GRAPHS_WRITE, body={"graph": "another"}),
    ("GET", "/v1/graphs/{graph}"): Op(Scope.GRAPHS_READ, GRAPH),
    ("GET", "/v1/graphs/{graph}/acl"): Op(Scope.GRAPHS_READ, GRAPH),
    ("PUT", "/v1/graphs/{graph}/acl"): Op(Scope.GRAPHS_WRITE, GRAPH, {"acl": {"read": ["*"]}}),
    ("POST", "/v1/graphs/{graph}/apply"): Op(Scope.GRAPHS_WRITE, GRAPH, {"ops": [NODE]}),
    ("GET", "/v1/graphs/{graph}/export"): Op(Scope.GRAPHS_READ, GRAPH),
    ("POST", "/v1/graphs/{graph}/neighbors"): Op(Scope.GRAPHS_READ, GRAPH, {"ids": ["ada"]}),
    ("GET", "/v1/graphs/{graph}/nodes"): Op(Scope.GRAPHS_READ, GRAPH),
    ("GET", "/v1/graphs/{graph}/nodes/{node}"): Op(Scope.GRAPHS_READ, GRAPH),
    ("POST", "/v1/graphs/{graph}/query"): Op(Scope.GRAPHS_READ, GRAPH, {"cypher": "MATCH (n) RETURN n.id"}),
    ("POST", "/v1/graphs/{graph}/recall"): Op(Scope.GRAPHS_READ, GRAPH, {"text": "ada"}),
    ("POST", "/v1/graphs/{graph}/search"): Op(Scope.GRAPHS_READ, GRAPH, {"text": "ada"}),
    ("GET", "/v1/graphs/{graph}/summary"): Op(Scope.GRAPHS_READ, GRAPH),
    ("POST", "/v1/graphs/{graph}/ingest"): Op(Scope.JOBS_WRITE, body=NODE, media_type=NDJSON),
    ("GET", "/v1/graphs/{graph}/ingest"): Op(Scope.JOBS_READ),
    ("GET", "/v1/ingest/{job_id}"): Op(Scope.JOBS_READ, JOB),
    ("GET", "/v1/ingest/{job_id}/events"): Op(Scope.JOBS_READ, JOB, is_endless=True),
    ("GET", "/v1/ingest/{job_id}/rejects"): Op(Scope.JOBS_READ, JOB),
    ("POST", "/v1/ingest/{job_id}/cancel"): Op(Scope.JOBS_WRITE, JOB),
    ("GET", "/v1/erasures"): Op(Scope.ERASURES_READ),
    ("GET", "/v1/erasures/{erasure_id}"): Op(Scope.ERASURES_READ, "erasure_not_found"),
    ("POST", "/v1/erasures"): Op(
        Scope.ERASURES_WRITE, TURN, {"kind": "turn", "target": "{turn_id}", "confirm": "{turn_id}"}
    ),
    # 204 also when there is none: the asker's own, in any case.
    ("DELETE", "/v1/graphs/{graph}"): Op(Scope.GRAPHS_WRITE, query="confirm={graph}"),
    ("GET", "/v1/workflows"): Op(Scope.WORKFLOWS_READ),
    ("GET", "/v1/tokens"): Op(Scope.TOKENS_READ),
    ("POST", "/v1/tokens"): Op(Scope.TOKENS_WRITE, body={"name": "another", "role": "viewer"}),
    ("POST", "/v1/tokens/{token_id}/rotate"): Op(Scope.TOKENS_WRITE, TOKEN),
    ("DELETE", "/v1/tokens/{token_id}"): Op(Scope.TOKENS_WRITE, TOKEN),
    ("GET", "/v1/audit"): Op(Scope.AUDIT_READ),
    ("POST", "/v1/subjects/{sub}/revoke"): Op(Scope.ACT_AS, body={}, is_of_installation=True),
    ("GET", "/v1/fleet"): Op(Scope.FLEET_READ, is_of_installation=True),
    ("GET", "/v1/fleet/partitions"): Op(Scope.FLEET_READ, is_of_installation=True),
    ("GET", "/v1/fleet/shards"): Op(Scope.FLEET_READ, is_of_installation=True),
    ("GET", "/v1/fleet/moves"): Op(Scope.FLEET_READ, is_of_installation=True),
    ("GET", "/v1/fleet/leaders"): Op(Scope.LEADERS_READ, is_of_installation=True),
    ("GET", "/v1/dead-letters"): Op(Scope.DEADLETTERS_READ, is_of_installation=True),
    ("GET", "/v1/tenants"): Op(Scope.TENANTS_READ, is_of_installation=True),
    ("POST", "/v1/tenants"): Op(Scope.TENANTS_WRITE, body={"name": "{new}"}, is_of_installation=True),
    ("PATCH", "/v1/tenants/{tenant}"): Op(Scope.TENANTS_WRITE, body={"state": "active"}, is_of_installation=True),
    ("DELETE", "/v1/tenants/{tenant}"): Op(Scope.TENANTS_WRITE, query="confirm={tenant}", is_of_installation=True),
    ("GET", "/v1/tenants/{tenant}/erasure"): Op(Scope.TENANTS_READ, is_of_installation=True),
}
REVOKE: Final = ("POST", "/v1/subjects/{sub}/revoke")
GUARDED: Final = {key: op for key, op in OPERATIONS.items() if not op.is_open}
# These answer an administrator who names no tenant, though tenants have them, too.
OF_BOTH: Final = {Scope.WORKFLOWS_READ, Scope.TOKENS_READ, Scope.TOKENS_WRITE, Scope.AUDIT_READ}
