"""The requests of the client library: the method, path, headers and body of each. The library has the gateway's routes
only here; for all others there is `request`.

Every request may be repeated: reads change nothing, a cancel that is repeated changes nothing more, and every other
write carries an idempotency key.
"""

import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from argosy.errors import CallerError
from argosy.workflow.definition import workflow_of
from argosy.workflow.payload import encode

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
# How long one request waits for the end of a turn; then the client asks again.
WAIT_S: Final = 20
# How long the request that submits a turn waits for its end. Most turns have ended by then; whether a turn is parked
# only the next request tells, at once.
FIRST_WAIT_S: Final = 1
# Longer than LOG_APPEND_TIMEOUT_S (15 s), after which a gateway answers that an append's outcome is unknown.
ANSWER_S: Final = 20.0
# How long a gateway may take what is uploaded, block by block, and to answer then: it waits for the log meanwhile.
UPLOADED_S: Final = 60.0

# Headers whose values no message shows.
_SECRET: Final = frozenset({"authorization", "cookie", "proxy-authorization"})

WorkflowName = str | Callable[..., Any]
OnBusy = Literal["enqueue", "reject"]


class Call(NamedTuple):
    """A request to a gateway. wait_s: for how long the request asks the gateway to wait before it answers. key: its
    idempotency key, if it has one. answer_s: how long the gateway may take to answer, beside wait_s.
    """

    method: str
    path: str
    headers: Mapping[str, str] = {}
    content: bytes = b""
    wait_s: int = 0
    key: str = ""
    answer_s: float = ANSWER_S


def submit(
    workflow: WorkflowName,
    input: Any = None,  # noqa: A002
    *,
    session: str | None = None,
    key: str | None = None,
    wait_s: int = 0,
    on_busy: OnBusy = "enqueue",
    priority: int = 0,
    not_before: datetime | None = None,
    deadline_s: float | None = None,
    tags: Sequence[str] = (),
) -> Call:
    """Return the request that submits a turn. session: None makes a new session; key: None makes a new key. Raises
    EncodingError, CallerError.
    """
    key = _key(key)
    session = uuid.uuid4().hex if session is None else session
    content, _ = encode(input, sys.maxsize, "the input")
    body: dict[str, Any] = {"workflow": name_of(workflow), "input": msgspec.Raw(content)}
    if on_busy != "enqueue":
        body["on_busy"] = on_busy
    if priority != 0:
        body["priority"] = priority
    if deadline_s is not None:
        body["deadline_s"] = deadline_s
    if isinstance(tags, str):
        raise CallerError(f"tags are a list: [{tags!r}], not {tags!r}")
    if tags:
        body["tags"] = list(tags)
    if not_before is not None:
        if not_before.tzinfo is None:
            raise CallerError("not_before needs a time zone")
        body["not_before"] = not_before
    headers = {"content-type": JSON, "idempotency-key": key}
    if wait_s:
        headers["prefer"] = f"wait={wait_s}"
    path = f"/v1/sessions/{_segment(session, 'a session')}/turns"
    return Call("POST", path, headers, msgspec.json.encode(body), wait_s, key)


def get(turn_id: str, wait_s: int = 0) -> Call:
    """Return the request for a turn. wait_s: the gateway answers once the turn has ended, or after so many seconds."""
    return Call("GET", _turn(turn_id) + (f"?wait={wait_s}" if wait_s else ""), wait_s=wait_s)


def cancel(turn_id: str) -> Call:
    return Call("POST", f"{_turn(turn_id)}/cancel")


def resume(turn_id: str, key: str | None = None) -> Call:
    """Return the request that resumes a parked turn. key: None makes a new key. Raises CallerError."""
    key = _key(key)
    return Call("POST", f"{_turn(turn_id)}/resume", {"idempotency-key": key}, key=key)


def signal(turn_id: str, name: str, payload: Any = None, key: str | None = None) -> Call:
    """Return the request that sends a signal. key: None makes a new key. Raises EncodingError, CallerError."""
    key = _key(key)
    content, _ = encode(payload, sys.maxsize, "the payload")
    headers = {"content-type": JSON, "idempotency-key": key}
    return Call("POST", f"{_turn(turn_id)}/signals/{_segment(name, 'a signal')}", headers, content, key=key)


def request(
    method: str,
    path: str,
    *,
    content: bytes = b"",
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    answer_s: float = ANSWER_S,
) -> Call:
    """Return any request. content: JSON. key: None makes a new key, unless the request is a GET. Raises CallerError."""
    if not path.startswith("/"):
        raise CallerError(f"{path!r} is no path of a gateway: it begins with a slash")
    given = checked(headers)
    if content:
        given["content-type"] = JSON
    if key is not None or method != "GET":
        key = given["idempotency-key"] = _key(key)
    return Call(method, path, given, content, key=key or "", answer_s=answer_s)


def ingest(
    graph: str,
    key: str,
    headers: Mapping[str, str],
    *,
    behind: tuple[int, str] | None = None,
    document_id: str | None = None,
) -> Call:
    """Return the request that uploads into a graph, without its body. behind: the line behind which the body begins,
    and the chain there. Raises CallerError.
    """
    parameters: dict[str, object] = {} if behind is None else {"after_line": behind[0], "chain": behind[1]}
    if document_id is not None:
        parameters["id"] = document_id
    path = f"{_jobs(graph)}?{urlencode(parameters)}" if parameters else _jobs(graph)
    return Call("POST", path, {**headers, "idempotency-key": _key(key)}, key=key, answer_s=UPLOADED_S)


def job_of_key(graph: str, key: str) -> Call:
    """Return the request for the job of a graph that a key names. Raises CallerError."""
    return Call("GET", f"{_jobs(graph)}?{urlencode({'key': _key(key)})}")


def jobs(graph: str, limit: int) -> Call:
    """Return the request for a graph's newest jobs. Raises CallerError."""
    return Call("GET", f"{_jobs(graph)}?limit={limit}")


def job(job_id: str) -> Call:
    return Call("GET", _job(job_id))


def cancel_job(job_id: str) -> Call:
    return Call("POST", f"{_job(job_id)}/cancel")


def rejects(job_id: str, after: tuple[int, int] | None, limit: int) -> Call:
    """Return the request for refused lines of a job: the first ones, or those behind a (partition, line)."""
    behind = "" if after is None else f"&partition={after[0]}&after={after[1]}"
    return Call("GET", f"{_job(job_id)}/rejects?limit={limit}{behind}")


def job_events(job_id: str) -> str:
    """Return the path of a job's stream."""
    return f"{_job(job_id)}/events"


def turn_events(turn_id: str) -> str:
    """Return the path of a turn's stream."""
    return f"{_turn(turn_id)}/events"


def session_events(session: str, skip_ended: bool = False) -> str:
    """Return the path of a session's stream. skip_ended: a stream that is opened without the id of a last event begins
    at the first turn that has not ended.
    """
    return f"/v1/sessions/{_segment(session, 'a session')}/events" + ("?from=now" if skip_ended else "")


def name_of(workflow: WorkflowName) -> str:
    """Return the name under which a workflow is declared. Raises CallerError."""
    if isinstance(workflow, str):
        return workflow
    declared = workflow_of(workflow)
    if declared is None:
        raise CallerError(f"{workflow!r} is neither a workflow nor the name of one")
    return declared.name


def header(value: str, what: str) -> str:
    """Return the value unchanged. Raises CallerError when no HTTP header can hold it; what: its name in the message."""
    if not _fits(value):
        raise CallerError(f"{what} cannot be {value!r}: no header can hold other characters than visible ASCII")
    return value


def checked(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return a copy of headers. Raises CallerError when no HTTP header can hold one; of those that may have a secret
    the message does not show the value.
    """
    for name, value in (headers or {}).items():
        header(name, "a header")
        if name.lower() not in _SECRET:
            header(value, f"the header {name}")
        elif not _fits(value):
            raise CallerError(f"the header {name} has other characters than visible ASCII")
    return dict(headers or {})


def _fits(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _key(key: str | None) -> str:
    """Return the idempotency key, or a new one for None. Raises CallerError when no header can hold it."""
    return uuid.uuid4().hex if key is None else header(key, "a key")


def _jobs(graph: str) -> str:
    return f"/v1/graphs/{_segment(graph, 'a graph')}/ingest"


def _job(job_id: str) -> str:
    return f"/v1/ingest/{_segment(job_id, 'a job')}"


def _turn(turn_id: str) -> str:
    return f"/v1/turns/{_segment(turn_id, 'a turn')}"


def _segment(text: str, what: str) -> str:
    """Return an id or a name encoded as one segment of a path. Raises CallerError when that is impossible."""
    if text in {"", ".", ".."}:
        raise CallerError(f"{what} cannot be called {text!r}: no address can hold it")
    return quote(text, safe="", errors="surrogatepass")
