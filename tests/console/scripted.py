"""A gateway that does as it is told: the console on it, one turn, a stream that breaks in every way a stream can."""

import contextlib
import threading
import time
import uuid
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

import msgspec

from argosy.gateway.routes import console
from argosy.identity.scopes import ALL

TURN_ID = str(uuid.UUID(int=7))
SESSION = "scripted"
_EVENTS = (f"/v1/turns/{TURN_ID}/events", f"/v1/sessions/{SESSION}/events")
STREAM = "text/event-stream"
JSON = "application/json"


class Act(NamedTuple):
    """What one request for the turn's events is answered. The connection closes after the body, unless it is held."""

    status: int
    media_type: str = STREAM
    body: str = ""
    is_held: bool = False


def message(kind: str, id_: str, data: dict[str, Any]) -> str:
    """One message of a stream."""
    return f"event: {kind}\nid: {id_}\ndata: {msgspec.json.encode(data).decode()}\n\n"


def page(*events: dict[str, Any]) -> str:
    """The JSON page of events."""
    last = events[-1]["seq"] if events else 0
    return msgspec.json.encode({"turn_id": TURN_ID, "events": events, "next": last}).decode()


class Scripted:
    """Plays acts, one a request for events. asked: (what was accepted, Last-Event-ID, query) of each such request."""

    def __init__(self, *acts: Act) -> None:
        self.acts = deque(acts)
        self.asked: list[tuple[str, str | None, str]] = []
        self.pages: dict[str, Any] = {}  # further answers, by path and query
        self.held: dict[str, threading.Event] = {}  # by path: until when the next answer of these pages is on its way
        self.is_store_away = False  # nothing of the turn can be read
        self.late: deque[str] = deque()  # what a held connection says next
        self.has_hung_up = threading.Event()  # the page, while a connection was held
        self.turn: dict[str, Any] = {
            "turn_id": TURN_ID, "session": SESSION, "workflow": "scripted", "status": "running", "attempt": 1,
            "steps": [], "waits": [], "input": 1, "result": None, "error": None, "reason": None,
            "accepted_at": "2026-11-21T12:00:00Z", "started_at": "2026-11-21T12:00:00Z", "ended_at": None,
        }  # fmt: skip
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, path: str, accept: str, last_id: str | None) -> Act:
        """What a request is answered."""
        if path in self.pages:
            act = Act(200, JSON, msgspec.json.encode(self.pages[path]).decode())
            if (arrives := self.held.pop(path, None)) is not None:
                arrives.wait(20)
            return act
        path, _, query = path.partition("?")
        if path in _EVENTS:
            self.asked.append((accept, last_id, query))
            return self.acts.popleft() if self.acts else Act(204)
        if self.is_store_away and path.startswith("/v1/turns/"):
            return Act(503, JSON, '{"title": "Postgres cannot be asked", "detail": "it did not answer"}')
        shown: dict[str, Any] = {
            "/v1/sessions": {"sessions": [], "next": None},
            "/v1/whoami": {"kind": "local", "id": "local", "tenant": "default", "role": None, "scopes": sorted(ALL)},
            f"/v1/turns/{TURN_ID}": self.turn,
            f"/v1/turns/{TURN_ID}/explain": {"status": "running", "code": "running", "why": "", "what_to_do": ""},
        }
        if path in shown:
            return Act(200, JSON, msgspec.json.encode(shown[path]).decode())
        name = "index.html" if path == "/" else path.removeprefix("/console/")
        file = console.files().get(name)
        return Act(200, file.media_type, file.content.decode()) if file else Act(404)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                accept = self.headers.get("accept", "")
                act = scripted.answer(self.path, accept, self.headers.get("last-event-id"))
                self.send_response(act.status)
                for name, value in console.HEADERS.items():
                    self.send_header(name, value)
                self.send_header("content-type", act.media_type)
                self.end_headers()
                self.wfile.write(act.body.encode())
                if act.is_held:
                    self.hold()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", "0")))
                self.do_GET()

            def hold(self) -> None:
                with contextlib.suppress(OSError):
                    for _ in range(200):
                        self.wfile.write((scripted.late.popleft() if scripted.late else ": beat\n\n").encode())
                        time.sleep(0.05)
                scripted.has_hung_up.set()

            def log_message(self, *_: object) -> None:
                """It says nothing."""

        return Handler
