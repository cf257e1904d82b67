"""/healthz, /readyz and /metrics of a process that serves nothing else.

Answered from threads, so that they answer while the event loop is stuck: that is when somebody asks. What they show
is read from memory by the two callables, which must not wait for anything.
"""

import contextlib
import http.server
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from argosy import telemetry
from argosy.address import to_bind
from argosy.errors import SettingError
from argosy.process import fork

Answer = Callable[[], tuple[bool, dict[str, Any]]]
_REQUEST_TIMEOUT_S: Final = 5.0


class OpsServer:
    """One HTTP server on host:port (0: a free one), in threads that end with the process.

    health() and ready() give (is it so, what to show): 200 or 503 with the dict as JSON. They are called from other
    threads than the one that made this. Raises SettingError when the address cannot be bound.
    """

    def __init__(self, host: str, port: int, health: Answer, ready: Answer) -> None:
        try:
            self._server = _Server(host, port)
        except OSError as error:
            raise SettingError(f"METRICS_HOST={host}, METRICS_PORT={port}: {error.strerror or error}") from error
        fork.own_name(self.port)
        self._server.answers = {"/healthz": health, "/readyz": ready}
        self._thread = threading.Thread(target=self._server.serve_forever, name="ops-server", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on, from the constructor on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the port. Once, after start."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_REQUEST_TIMEOUT_S)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that never finishes its request must not hold up our end
    answers: dict[str, Answer]

    def __init__(self, host: str, port: int) -> None:
        self.address_family, address = to_bind(host, port)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without the look in the DNS for our own name that http.server would have."""
        socketserver.TCPServer.server_bind(self)

    def shutdown(self) -> None:
        """Without waiting until its loop looks whether it shall end, which it does twice a second."""
        with contextlib.suppress(OSError):  # not every system takes it of a socket that listens
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the loop
        super().shutdown()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that went away is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _REQUEST_TIMEOUT_S
    server_version = "argosy"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """http.server's name for it."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            body, content_type = telemetry.exposition()
            self._send(200, body, content_type)
        elif answer := cast(_Server, self.server).answers.get(path):
            try:
                is_so, shown = answer()
            except Exception as error:  # whatever is wrong in there, a probe must hear that something is
                is_so, shown = False, {"code": "internal", "error": type(error).__name__}
            self._send(200 if is_so else 503, msgspec.json.encode(shown), "application/json")
        else:
            self._send(404, b'{"code":"not_found"}', "application/json")

    def do_HEAD(self) -> None:
        """As GET, without the body: what load balancers ask."""
        self.do_GET()

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: probes come every second."""
