"""Examples in the OpenAPI document, by the name of the shape. A test checks each against its schema."""

from typing import Any, Final

_TURN_ID: Final = "01977b1c-5a80-8a3f-a63e-72d17dd3991d"
_JOB_ID: Final = "eadb21cd-d672-81af-b786-52c729135349"
_LINKS: Final = {
    "self": f"/v1/turns/{_TURN_ID}",
    "events": f"/v1/turns/{_TURN_ID}/events",
    "explain": f"/v1/turns/{_TURN_ID}/explain",
    "cancel": f"/v1/turns/{_TURN_ID}/cancel",
}

EXAMPLES: Final[dict[str, list[Any]]] = {
    "TurnPosted": [
        {"workflow": "echo", "input": {"text": "hello"}},
        {"workflow": "checkout", "input": {"order": 7}, "on_busy": "reject", "deadline_s": 3600, "tags": ["shop"]},
    ],
    "BatchLine": [{"session": "customer-7", "idempotency_key": "order-7", "workflow": "echo", "input": "hello"}],
    "TurnAccepted": [{"turn_id": _TURN_ID, "session": "customer-7", "status": "accepted", "links": _LINKS}],
    "LineAnswer": [{"status": 202, "turn_id": _TURN_ID}],
    "Sent": [
        {
            "turn_id": _TURN_ID,
            "status": "suspended",
            "name": "reviewed",
            "signal_id": "6f1c1f0e-5a52-4e0f-9c55-0f6f5f5b8d11",
        }
    ],
    "Explanation": [
        {
            "turn_id": _TURN_ID,
            "status": "suspended",
            "code": "waiting",
            "why": "It waits for a signal 'reviewed'.",
            "what_to_do": "Send the signal.",
            "details": {},
        }
    ],
    "ErasurePosted": [{"kind": "session", "target": "customer-7", "confirm": "customer-7"}],
    "ErasureView": [
        {
            "erasure_id": "0b0e3f6e-6d53-4f0c-9c55-0f6f5f5b8d11",
            "kind": "session",
            "target": None,
            "status": "done",
            "stage": "done",
            "waits_for": "",
            "waits_since": None,
            "asked_at": "2026-07-01T09:30:00Z",
            "ended_at": "2026-07-01T09:30:04Z",
            "receipt": [{"where": "postgres", "what": "turns", "removed": 3, "until": None}],
            "links": {"self": "/v1/erasures/0b0e3f6e-6d53-4f0c-9c55-0f6f5f5b8d11"},
        }
    ],
    "JobView": [
        {
            "job_id": _JOB_ID,
            "graph": "customers",
            "kind": "upload",
            "status": "running",
            "code": "",
            "reason": "",
            "idempotency_key": "customers-2026",
            "received_lines": 200_000,
            "received_bytes": 21_000_000,
            "chain": "335a1bafa30480f3ee7971a287f841cf",
            "is_uploaded": True,
            "lines": 200_000,
            "applied": 81_920,
            "rejected": 3,
            "rate_lines_s": 24_310.5,
            "waits_for": "",
            "made_at": "2026-01-01T12:00:00Z",
            "ended_at": None,
            "links": {
                "self": f"/v1/ingest/{_JOB_ID}",
                "events": f"/v1/ingest/{_JOB_ID}/events",
                "rejects": f"/v1/ingest/{_JOB_ID}/rejects",
                "cancel": f"/v1/ingest/{_JOB_ID}/cancel",
            },
        }
    ],
    "AclPosted": [{"acl": {"read": ["*"], "write": ["role:user"], "admin": ["user:argosy-boss"]}}],
    "AclView": [{"acl": {"read": ["*"], "write": ["role:user"], "admin": []}, "rights": ["read", "write"]}],
    "GraphPosted": [{"graph": "customers"}],
    "BatchPosted": [
        {
            "ops": [
                {"op": "upsert_node", "id": "ada", "label": "Person", "props": {"born": 1815}},
                {"op": "upsert_node", "id": "bob", "label": "Person"},
                {"op": "upsert_edge", "src": "ada", "type": "KNOWS", "dst": "bob", "props": {"since": 1833}},
            ],
            "idempotency_key": "import-7",
        }
    ],
    "QueryPosted": [
        {"cypher": "MATCH (a:Person {id: $id})-[:KNOWS]->(b) RETURN b.id, b.born", "params": {"id": "ada"}}
    ],
    "NeighborsPosted": [{"ids": ["ada"], "types": ["KNOWS"], "direction": "out", "depth": 2}],
    "SearchPosted": [{"text": "ada"}],
    "RecallPosted": [{"text": "whom does ada know?", "budget_tokens": 500}],
    "Problem": [
        {
            "type": "urn:argosy:problem:turn_not_found",
            "title": "There is no such turn",
            "status": 404,
            "detail": f"{_TURN_ID} is not a turn of yours",
            "code": "turn_not_found",
            "retryable": False,
        }
    ],
}
