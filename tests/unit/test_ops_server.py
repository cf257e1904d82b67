"""A process says how it is, whatever its event loop does."""

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from argosy import telemetry
from argosy.errors import SettingError
from argosy.process.ops_server import Answer, OpsServer


class State:
    """What the process would say. See Probes."""

    healthy: Answer = (True, {"status": "ok"})
    readiness: Answer = (False, {"status": "starting", "partitions": 0})

    def health(self) -> Answer:
        return self.healthy

    def ready(self) -> Answer:
        return self.readiness


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def server(state: State) -> Iterator[OpsServer]:
    ops = OpsServer("127.0.0.1", 0, state)
    ops.start()
    yield ops
    ops.stop()


def get(server: OpsServer, path: str) -> tuple[int, str, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def test_health_and_readiness_are_two_questions(server: OpsServer, state: State) -> None:
    status, content_type, body = get(server, "/healthz")
    assert (status, content_type, json.loads(body)) == (200, "application/json", {"status": "ok"})

    status, _, body = get(server, "/readyz?verbose=1")
    assert (status, json.loads(body)) == (503, {"status": "starting", "partitions": 0})

    state.readiness = (True, {"status": "ready", "partitions": 8})
    assert get(server, "/readyz")[0] == 200


def test_metrics_are_those_of_the_table(server: OpsServer) -> None:
    status, content_type, body = get(server, "/metrics")

    assert status == 200
    assert content_type.startswith("text/plain")
    assert b"# TYPE argosy_turns_running gauge" in body


def test_other_paths_are_404_and_other_methods_refused(server: OpsServer) -> None:
    assert get(server, "/nothing")[0] == 404

    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"POST /healthz HTTP/1.0\r\n\r\n")
        assert b" 501 " in client.recv(200)


def test_an_answer_that_raises_is_a_503(server: OpsServer, state: State) -> None:
    del State.healthy
    try:
        status, _, body = get(server, "/healthz")
    finally:
        State.healthy = (True, {"status": "ok"})

    assert (status, json.loads(body)) == (503, {"code": "internal", "error": "AttributeError"})


def test_it_answers_while_the_event_loop_is_stuck(server: OpsServer) -> None:
    release = threading.Event()
    answers: list[int] = []

    def ask() -> None:
        answers.append(get(server, "/healthz")[0])
        release.set()

    async def stuck() -> None:
        threading.Thread(target=ask).start()
        assert release.wait(10)  # blocks the loop's thread

    asyncio.run(stuck())

    assert answers == [200]


def test_a_client_that_never_finishes_its_request_holds_nobody_up() -> None:
    server = OpsServer("127.0.0.1", 0, State())
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.sendall(b"GET /healthz HT")

        assert get(server, "/healthz")[0] == 200
        began_s = time.monotonic()
        server.stop()

    assert time.monotonic() - began_s < 3


def test_a_port_that_is_taken_is_named(server: OpsServer) -> None:
    with pytest.raises(SettingError, match=rf"METRICS_PORT={server.port}: Address already in use"):
        OpsServer("127.0.0.1", server.port, State())


def test_a_load_balancer_may_ask_without_wanting_a_body(server: OpsServer, state: State) -> None:
    for path, expected in (("/healthz", 200), ("/readyz", 503), ("/metrics", 200), ("/nothing", 404)):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(f"HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert answer.startswith(f"HTTP/1.1 {expected}".encode())
        assert answer.endswith(b"\r\n\r\n")
        assert answer.count(b"\r\n\r\n") == 1


def test_a_process_that_ends_does_not_wait_for_it() -> None:
    began_s = time.monotonic()

    for _ in range(6):
        ops = OpsServer("127.0.0.1", 0, State())
        ops.start()
        get(ops, "/healthz")  # its loop runs, and waits for the next one
        ops.stop()

    assert time.monotonic() - began_s < 1.5  # half a second each, if it waited for the loop to look around


def test_a_scrape_while_the_process_ends_has_its_whole_answer(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is larger than what a socket takes at once, and who asks reads it slowly."""
    body, begun = b"#" * 8_000_000, threading.Event()

    def exposition() -> tuple[bytes, str]:
        begun.set()
        return body, "text/plain"

    monkeypatch.setattr(telemetry, "exposition", exposition)
    ops = OpsServer("127.0.0.1", 0, state)
    ops.start()
    with socket.create_connection(("127.0.0.1", ops.port), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert begun.wait(5)
        stopping = threading.Thread(target=ops.stop)
        stopping.start()
        read = b"".join(iter(lambda: client.recv(1_000_000), b""))
        stopping.join(5)

    assert read.partition(b"\r\n\r\n")[2] == body


def test_an_answer_that_nobody_reads_does_not_keep_the_process(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def exposition() -> tuple[bytes, str]:
        begun.set()
        return b"#" * 50_000_000, "text/plain"

    monkeypatch.setattr(telemetry, "exposition", exposition)
    ops = OpsServer("127.0.0.1", 0, state)
    ops.start()
    with socket.create_connection(("127.0.0.1", ops.port), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert begun.wait(5)
        began_s = time.monotonic()
        ops.stop()

    assert time.monotonic() - began_s < 3
