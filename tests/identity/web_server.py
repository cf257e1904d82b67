"""A server on loopback that answers as an issuer does, or does not."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

Answer = tuple[int, dict[str, str], bytes]
JSON: Final = {"Content-Type": "application/json"}


class WebServer:
    """An issuer's server on loopback. answers: by path; seen: the paths and headers of all requests. posted: bodies."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.posted: list[bytes] = []
        self.trickles = False
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                status, headers, body = owner.answers[self.path]()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for begin in range(0, len(body), 1 if owner.trickles else 65_536):
                        self.wfile.write(body[begin : begin + (1 if owner.trickles else 65_536)])
                        if owner.trickles:
                            time.sleep(0.05)  # it is the one who is slow
                except OSError:
                    pass  # nobody reads it any more

            def do_POST(self) -> None:
                owner.posted.append(self.rfile.read(int(self.headers["content-length"])))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.answers[path] = lambda: (status, JSON if headers is None else headers, body)


@contextmanager
def served() -> Iterator[WebServer]:
    web = WebServer()
    thread = threading.Thread(target=web.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield web
    web.server.shutdown()
    web.server.server_close()
    thread.join()
