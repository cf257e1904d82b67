"""/healthz, /readyz and /metrics of a process that serves no other HTTP.

Threads answer, so that probes get an answer while the event loop is stuck, when it matters most.
"""

import contextlib
import http.server
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any, Final, Protocol, cast

import msgspec

from argosy import telemetry
from argosy.address import to_bind
from argosy.errors import SettingError
from argosy.process import fork

Answer = tuple[bool, dict[str, Any]]
LOOP_BLOCKED_S: Final = 5.0  # an event loop that is so late is not healthy
_LAST_S: Final = 1.0  # how long an answer that was begun has when the process ends
_REQUEST_TIMEOUT_S: Final = 5.0  # of a probe or a scrape: a client that stalls holds its thread no longer


class Probes(Protocol):
    """What answers for a process: whether that is so, and a dict that shows why. Called from the server's threads: the
    methods read memory, and must not wait for anything for long.
    """

    def health(self) -> Answer:
        """Return whether the process is healthy."""

    def ready(self) -> Answer:
        """Return whether the process is ready."""


class OpsServer:
    """An HTTP server on host:port (0: a free port), in daemon threads.

    It answers with 200 or 503, and with the dict of the probe as JSON. Raises SettingError when the address cannot be
    bound.
    """

    def __init__(self, host: str, port: int, probes: Probes) -> None:
        try:
            self._server = _Server(host, port)
        except OSError as error:
            raise SettingError(f"METRICS_HOST={host}, METRICS_PORT={port}: {error.strerror or error}") from error
        fork.own_name(self.port)
        self._server.probes = probes
        self._thread = threading.Thread(target=self._server.serve_forever, name="ops-server", daemon=True)

    @property
    def port(self) -> int:
        """The port of the listening socket, which is bound by the constructor."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close the port, once answers that were begun are whole, or after a second. Call it once,
        after start.
        """
        self._server.shutdown()
        self._server.wait_sent(_LAST_S)
        self._server.server_close()
        self._thread.join(_REQUEST_TIMEOUT_S)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that never finishes its request must not delay the end of the process
    probes: Probes

    def __init__(self, host: str, port: int) -> None:
        self.address_family, address = to_bind(host, port)
        self._sending = 0
        self._sent = threading.Condition()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without looking this host's name up in the DNS, as http.server would."""
        socketserver.TCPServer.server_bind(self)

    def shutdown(self) -> None:
        """End serve_forever at once; by default it notices a shutdown only twice a second."""
        with contextlib.suppress(OSError):  # not every system can shut a listening socket down
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes serve_forever
        super().shutdown()

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """An answer is being made and sent: the process must not end in the middle of it."""
        with self._sent:
            self._sending += 1
        try:
            yield
        finally:
            with self._sent:
                self._sending -= 1
                self._sent.notify_all()

    def wait_sent(self, within_s: float) -> None:
        """Return when no answer is being sent, or after within_s."""
        with self._sent:
            self._sent.wait_for(lambda: not self._sending, within_s)

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing when a client goes away."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _REQUEST_TIMEOUT_S
    server_version = "argosy"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a GET; http.server determines this name."""
        with cast(_Server, self.server).sending():
            self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            body, content_type = telemetry.exposition()
            self._send(200, body, content_type)
        elif path in ("/healthz", "/readyz"):
            probes = cast(_Server, self.server).probes
            try:
                is_so, shown = probes.health() if path == "/healthz" else probes.ready()
            except Exception as error:  # who asks must get an answer, whatever the probe raises
                is_so, shown = False, {"code": "internal", "error": type(error).__name__}
            self._send(200 if is_so else 503, msgspec.json.encode(shown), "application/json")
        else:
            self._send(404, b'{"code":"not_found"}', "application/json")

    def do_HEAD(self) -> None:
        """Answer as GET does, without the body; load balancers send HEAD."""
        self.do_GET()

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: probes come every second."""
