"""What is asked of a gateway, as a method, an address and a body: the one place that knows its routes.

Every call may be repeated: reads change nothing, what changes something carries a key, and a turn is cancelled once
however often that is asked for.
"""

import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from argosy.errors import CallerError
from argosy.workflow.definition import workflow_of
from argosy.workflow.payload import encode

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
# One question for an end that is not there yet; then it is asked again.
WAIT_S: Final = 20
# With the turn itself: most have ended by then, and of one that is parked the question after it tells at once.
FIRST_WAIT_S: Final = 1

WorkflowName = str | Callable[..., Any]
OnBusy = Literal["enqueue", "reject"]


class Call(NamedTuple):
    """wait_s: for how long the gateway may keep silent because it was asked to wait."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    content: bytes = b""
    wait_s: int = 0
    key: str = ""


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
    """A turn. session: None is one of its own; key: None is a new one. Raises EncodingError, CallerError."""
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
        raise CallerError(f"tags are several: [{tags!r}], not {tags!r}")
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
    """A turn; with wait_s, once it has ended, or as it is then."""
    return Call("GET", _turn(turn_id) + (f"?wait={wait_s}" if wait_s else ""), wait_s=wait_s)


def cancel(turn_id: str) -> Call:
    return Call("POST", f"{_turn(turn_id)}/cancel")


def resume(turn_id: str, key: str | None = None) -> Call:
    """key: None is a new one. Raises CallerError."""
    key = _key(key)
    return Call("POST", f"{_turn(turn_id)}/resume", {"idempotency-key": key}, key=key)


def signal(turn_id: str, name: str, payload: Any = None, key: str | None = None) -> Call:
    """A signal; key: None is a new one. Raises EncodingError, CallerError."""
    key = _key(key)
    content, _ = encode(payload, sys.maxsize, "the payload")
    headers = {"content-type": JSON, "idempotency-key": key}
    return Call("POST", f"{_turn(turn_id)}/signals/{_segment(name, 'a signal')}", headers, content, key=key)


def turn_events(turn_id: str) -> str:
    """The address of a turn's stream."""
    return f"{_turn(turn_id)}/events"


def session_events(session: str, skip_ended: bool = False) -> str:
    """The address of a session's stream. skip_ended: without an id it begins at the first turn that has not ended."""
    return f"/v1/sessions/{_segment(session, 'a session')}/events" + ("?from=now" if skip_ended else "")


def name_of(workflow: WorkflowName) -> str:
    """The name that a workflow is declared under. Raises CallerError."""
    if isinstance(workflow, str):
        return workflow
    declared = workflow_of(workflow)
    if declared is None:
        raise CallerError(f"{workflow!r} is neither a workflow nor the name of one")
    return declared.name


def header(value: str, what: str) -> str:
    """What goes into a header. Raises CallerError: none can hold it."""
    if not (value.isascii() and value.isprintable()):
        raise CallerError(f"{what} cannot be {value!r}: no header can hold other characters than visible ASCII")
    return value


def _key(key: str | None) -> str:
    """An idempotency key, or a new one. Raises CallerError."""
    return uuid.uuid4().hex if key is None else header(key, "a key")


def _turn(turn_id: str) -> str:
    return f"/v1/turns/{_segment(turn_id, 'a turn')}"


def _segment(text: str, what: str) -> str:
    """An id or a name as one segment of an address, whatever is in it. Raises CallerError."""
    if text in {"", ".", ".."}:
        raise CallerError(f"{what} cannot be called {text!r}: no address can hold it")
    return quote(text, safe="", errors="surrogatepass")
