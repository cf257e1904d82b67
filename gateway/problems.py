"""Every way a request can fail, in one table, and the body of the answer: problem+json (RFC 9457).

`code` is stable, and clients branch on it; `retryable` says whether the same request may succeed later.
400: the request cannot be read. 422: it was read, and refused. 503: it was certainly not done. 504: it may have been.
"""

import math
from typing import Any, Final, NamedTuple

import msgspec
from starlette.responses import Response

# What is away may be back at any moment, and a client that asks each second costs little.
RETRY_AFTER_S: Final = 1.0
CONTENT_TYPE: Final = "application/problem+json"
DETAIL_CHARACTERS_MAX: Final = 500  # it quotes what the client sent, which may be long


class Kind(NamedTuple):
    """What all problems with one code have in common."""

    status: int
    title: str
    is_retryable: bool = False


KINDS: Final[dict[str, Kind]] = {
    "invalid_http": Kind(400, "This is no HTTP/1.1 request"),
    "invalid_json": Kind(400, "The body is not valid JSON"),
    "invalid_parameter": Kind(400, "A parameter or header cannot be read"),
    "invalid_cursor": Kind(400, "The cursor is not one that this list gave out"),
    "invalid_event_id": Kind(400, "The id is not one that this stream gave out"),
    "invalid_id": Kind(400, "The id in the path is not a turn id, or not a job's"),
    "invalid_gzip": Kind(400, "What was sent as gzip is cut off, is none, or becomes too large"),
    "invalid_encoding": Kind(400, "What was sent is not UTF-8"),
    "unauthenticated": Kind(401, "A token is needed"),
    "invalid_token": Kind(401, "The token is not good"),
    "login_refused": Kind(403, "Nobody signs in here, or not in this way"),
    "foreign_origin": Kind(403, "A web page of another origin may not ask this"),
    "insufficient_scope": Kind(403, "The credential has no right to this"),
    "tenant_required": Kind(403, "The request has to name the tenant that it is about"),
    "tenant_unknown": Kind(403, "The token names a tenant that does not exist"),
    "tenant_suspended": Kind(403, "The tenant is suspended: it can only read"),
    "graph_forbidden": Kind(403, "An access control list keeps this part of the graph from the credential"),
    "not_found": Kind(404, "There is nothing at this address"),
    "turn_not_found": Kind(404, "There is no such turn"),
    "session_not_found": Kind(404, "There is no such session"),
    "graph_not_found": Kind(404, "There is no such graph"),
    "job_not_found": Kind(404, "There is no such job"),
    "erasure_not_found": Kind(404, "There is no such erasure"),
    "token_not_found": Kind(404, "There is no such token"),
    "tenant_not_found": Kind(404, "There is no such tenant"),
    "node_not_found": Kind(404, "The graph has no such node"),
    "method_not_allowed": Kind(405, "This address does not answer this method"),
    "request_timeout": Kind(408, "The request did not arrive in time", True),
    "turn_ended": Kind(409, "The turn has ended"),
    "job_ended": Kind(409, "The job has ended"),
    "upload_moved": Kind(409, "The upload goes on elsewhere than where this part of it begins"),
    "too_many_tokens": Kind(409, "The tenant has as many tokens as it may have"),
    "token_rotated": Kind(409, "The token has a successor already"),
    "too_many_revocations": Kind(409, "As many subjects are revoked as may be"),
    "tenant_exists": Kind(409, "There is a tenant of this name already"),
    "not_parked": Kind(409, "The turn is not parked"),
    "graph_condition": Kind(409, "The graph is not as an operation needs it: nothing of the batch was applied"),
    "graph_sealed": Kind(409, "The graph is sealed, or is not, and cannot be asked this"),
    "payload_unreadable": Kind(410, "A payload is sealed, and nobody can open it any more"),
    "payload_too_large": Kind(413, "The body, or the input in it, is over its bound"),
    "graph_too_large": Kind(413, "The answer, or what was asked of the graph, is over its bound"),
    "unsupported_media_type": Kind(415, "The body must be plain JSON"),
    "unknown_host": Kind(421, "The gateway does not answer to this name"),
    "invalid_request": Kind(422, "The request does not fit its schema"),
    "invalid_session": Kind(422, "The name of the session cannot be used"),
    "invalid_graph": Kind(422, "The name of the graph cannot be used"),
    "invalid_graph_input": Kind(422, "What was sent breaks a rule of graphs"),
    "invalid_cypher": Kind(422, "The query cannot be answered as it is written"),
    "unconfirmed": Kind(422, "What is to be deleted has to be named again"),
    "unknown_workflow": Kind(422, "No worker has registered this workflow"),
    "idempotency_mismatch": Kind(422, "The key was used before, for something else"),
    "key_expired": Kind(422, "The key is so old that nobody knows whether it was used"),
    "rate_limited": Kind(429, "Too many requests at once", True),
    "too_many_signals": Kind(429, "The turn has as many signals as it may have before it takes some", True),
    "head_too_large": Kind(431, "The request's head is over its bound"),
    "internal": Kind(500, "An error of Argosy's own"),
    "too_many_streams": Kind(503, "The gateway has no room for another stream", True),
    "too_many_connections": Kind(503, "The gateway has no room for another connection", True),
    "too_many_uploads": Kind(503, "The gateway has no room for another upload", True),
    "log_unavailable": Kind(503, "The log did not take what was sent: it was not accepted", True),
    "identity_unavailable": Kind(503, "Whether the credential is good cannot be told", True),
    "store_unavailable": Kind(503, "Postgres cannot be asked", True),
    "shard_unavailable": Kind(503, "The graph's shard cannot be asked", True),
    "lists_disagree": Kind(503, "The graph's shard, or this gateway, does not enforce access control lists", True),
    "view_lost": Kind(503, "What answers queries about the graph ended, and is made again", True),
    "embedder_away": Kind(503, "What makes vectors of texts cannot be asked", True),
    "embedder_failed": Kind(503, "What makes vectors of texts failed, and an operator has to see to it"),
    "outcome_unknown": Kind(504, "It may have been done: repeat it with the same key", True),
    "graph_deadline": Kind(504, "The graph's shard was not done in time", True),
}


# The `error` in the challenge of these (RFC 6750, 3.1); None: no credential came, so none was wrong.
_CHALLENGES: Final = {
    "unauthenticated": None,
    "invalid_token": "invalid_token",
    "insufficient_scope": "insufficient_scope",
}


class Problem(Exception):  # noqa: N818 (RFC 9457's word)
    """The failure of a request: any code below a route raises it, and the gateway answers it as problem+json.

    extra: further members of the body.
    """

    def __init__(self, code: str, detail: str, *, retry_after_s: float | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.kind = KINDS[code]
        self.detail = _shown(detail)
        self.retry_after_s = retry_after_s
        self.extra = extra
        self.headers: dict[str, str] = {}  # further ones of the answer

    def body(self) -> dict[str, Any]:
        """Return the members of the problem object."""
        members = {
            "type": f"urn:argosy:problem:{self.code}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.kind.is_retryable,
        }
        if self.retry_after_s is not None:
            members["retry_after_s"] = math.ceil(self.retry_after_s)
        return members | self.extra

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """Return the whole answer. headers: headers of the answer, beside Retry-After and Content-Type."""
        headers = self.headers | (headers or {})
        if self.code in _CHALLENGES:
            headers["WWW-Authenticate"] = _challenge(self.code, self.extra.get("scope"))
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(self.retry_after_s))
        return Response(msgspec.json.encode(self.body()), self.kind.status, headers, CONTENT_TYPE)


def _challenge(code: str, scope: str | None) -> str:
    """Return the WWW-Authenticate field of a refusal (RFC 6750, 3)."""
    given = {"realm": "argosy", "error": _CHALLENGES[code], "scope": scope}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in given.items() if value is not None)


def _shown(detail: str) -> str:
    """Return a detail that is short enough and on one line.

    A detail quotes what the client sent. It must hold nothing that ends a line for any client: U+0085 and U+2028 do
    for many, and would tear a line of a batch's answer apart.
    """
    detail = detail if len(detail) <= DETAIL_CHARACTERS_MAX else f"{detail[:DETAIL_CHARACTERS_MAX]}…"
    if detail.isprintable():
        return detail
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in detail)


class ProblemBody(msgspec.Struct, kw_only=True):
    """RFC 9457, with a stable code and whether the same request may succeed later."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    retry_after_s: int | None = None
