"""Clients that mean harm cost a gateway little memory and few files."""

import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.gateway.stream.conftest import serve as serve
from tests.gateway.test_processes import Start
from tests.gateway.test_processes import start as start
from tests.gateway.wire import MIB


def growth_of(gateway: psutil.Process, attack: Callable[[socket.socket], None], port: int) -> float:
    """MiB by which a gateway grew at the most while a client sent as much as it could within two seconds."""
    before: int = gateway.memory_info().rss
    most = before
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        until_s = time.monotonic() + 2
        with contextlib.suppress(OSError):
            while time.monotonic() < until_s:
                attack(connection)
                most = max(most, gateway.memory_info().rss)
    return (most - before) / MIB


def fields(connection: socket.socket) -> None:
    connection.sendall(b"X-Field: " + b"x" * 1_000 + b"\r\n")


def one_field(connection: socket.socket) -> None:
    connection.sendall(b"x" * 65_536)


def pipelined(connection: socket.socket) -> None:
    connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)


@pytest.fixture
def serving(start: Start) -> tuple[psutil.Process, int]:
    gateway = start()
    gateway.wait_ready()
    port = int(gateway.ready_url.split(":")[2].split("/")[0])
    httpx2.get(f"http://127.0.0.1:{port}/openapi.json")
    return psutil.Process(gateway.pid), port


@pytest.mark.parametrize(
    ("begin", "attack"),
    [
        (b"GET / HTTP/1.1\r\n", fields),
        (b"GET / HTTP/1.1\r\nX-Field: ", one_field),
        (b"GET /", one_field),
        (b"POST /v1/turns:batch HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", fields),
        (b"POST /v1/turns:batch HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", one_field),
        (b"", pipelined),
    ],
    ids=["fields", "one field", "address", "trailers", "one trailer", "pipeline"],
)
def test_a_hostile_client_costs_a_gateway_little_memory(
    serving: tuple[psutil.Process, int], begin: bytes, attack: Callable[[socket.socket], None]
) -> None:
    gateway, port = serving

    def attack_from_the_beginning(connection: socket.socket) -> None:
        nonlocal begin
        connection.sendall(begin)
        begin = b""
        attack(connection)

    assert growth_of(gateway, attack_from_the_beginning, port) < 30
    assert httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200


def test_more_idle_connections_than_the_soft_limit_of_files_leave_it_hearing(start: Start, tmp_path: Path) -> None:
    gateway = start()
    gateway.wait_ready()
    url = gateway.ready_url.removesuffix("/readyz")
    port = int(url.rsplit(":", 1)[1])
    assert psutil.Process(gateway.pid).rlimit(psutil.RLIMIT_NOFILE)[0] > 1024

    with contextlib.ExitStack() as stack:
        for _ in range(700):  # below our own limit; the gateway's is raised, which is what is looked at
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        assert httpx2.get(f"{url}/healthz", timeout=5).status_code == 200
