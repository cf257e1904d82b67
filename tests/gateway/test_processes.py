"""`argosy gateway` as real processes: how it starts, how it refuses to, and that nothing is left of it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.harness.processes import ARGOSY, ROOT, Managed, free_port, two_free_ports

Start = Callable[..., Managed]


@pytest.fixture
def start(gateway_dsn: str, tmp_path: Path) -> Iterator[Start]:
    """Starts `argosy gateway` with settings."""
    started: list[Managed] = []

    def start_one(*arguments: str, **settings: str) -> Managed:
        port = settings.setdefault("PORT", str(free_port()))
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "STATE_DB_URI": gateway_dsn,
            "ARGOSY_DATA_DIR": str(tmp_path / "data"), "AGENT_DISPATCH_BACKEND": "queue", **settings,
        }  # fmt: skip
        log = tmp_path / f"gateway-{len(started)}.log"
        process = Managed("gateway", ["gateway", *arguments], environment, f"http://127.0.0.1:{port}/readyz", log)
        started.append(process)
        return process

    yield start_one
    left = [pid for process in started for pid in process.bury()]
    assert left == []


def said_in_one_line(process: Managed) -> str:
    """What a gateway that could not start said, once it is dead. Log events are no part of it."""
    assert process.wait_dead(20) == 1
    lines = [line for line in process.log.read_text().splitlines() if line.startswith("argosy")]
    assert len(lines) == 1, process.tail()
    assert "Traceback" not in process.tail()
    return lines[0]


def test_an_embedder_that_cannot_be_loaded_is_one_line(start: Start) -> None:
    line = said_in_one_line(start(EMBEDDER="tests.harness.toy_embedder:none"))

    assert line.startswith("argosy gateway: EMBEDDER cannot be loaded: tests.harness.toy_embedder:none: AttributeError")


def test_a_taken_port_is_one_line(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        line = said_in_one_line(start(PORT=str(port)))

    assert f"127.0.0.1:{port}" in line
    assert "in use" in line


def test_without_identity_only_loopback_is_bound(start: Start) -> None:
    refused = said_in_one_line(start(HOST="0.0.0.0"))  # noqa: S104
    allowed = start(HOST="0.0.0.0", GATEWAY_ALLOW_REMOTE="1")  # noqa: S104
    allowed.wait_ready()

    assert "GATEWAY_ALLOW_REMOTE" in refused
    assert "gateway.unauthenticated" in allowed.log.read_text()


def test_a_postgres_that_is_not_there_stops_the_start(start: Start) -> None:
    line = said_in_one_line(start(STATE_DB_URI="postgresql://nobody@127.0.0.1:1/none"))

    assert "Postgres cannot be reached" in line


def test_a_database_that_was_not_migrated_stops_the_start(start: Start, empty_database: str) -> None:
    assert "argosy migrate" in said_in_one_line(start(STATE_DB_URI=empty_database))


@pytest.mark.slow
def test_a_broker_that_is_not_there_stops_the_start(start: Start) -> None:
    line = said_in_one_line(start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", LOG_APPEND_TIMEOUT_S="2"))

    assert "127.0.0.1:1" in line


def test_it_says_where_it_is_and_sigterm_ends_it_in_order(start: Start) -> None:
    gateway = start()
    gateway.wait_ready()

    assert f"gateway: {gateway.ready_url.removesuffix('/readyz')}" in gateway.log.read_text()
    assert gateway.terminate() == 0
    assert "gateway.stopped" in gateway.log.read_text()


def test_several_processes_serve_one_socket(start: Start) -> None:
    gateway = start(GATEWAY_WORKERS="3")
    gateway.wait_ready()
    url = gateway.ready_url.removesuffix("/readyz")

    answers = [httpx2.post(f"{url}/v1/sessions/s{n}/turns", json={"workflow": "echo"}).status_code for n in range(20)]
    slashed = httpx2.post(f"{url}/v1/sessions/a%2Fb%20%C3%BC/turns", json={"workflow": "echo"})
    broken = httpx2.post(f"{url}/v1/sessions/a%FF/turns", json={"workflow": "echo"})
    children = serving(gateway)

    assert answers == [202] * 20
    assert slashed.json()["session"] == "a/b ü"
    assert broken.status_code == 400
    assert len(children) == 3
    assert gateway.terminate() == 0


def scraped(port: int, within_s: float = 20) -> str:
    """What is scraped at this port, once somebody answers there."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/metrics").text
        except httpx2.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def pids_of_ports(gateway: Managed, ports: list[int]) -> dict[int, int]:
    """Which process behind the socket listens on which port."""
    found = {}
    for child in serving(gateway):
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in child.net_connections("tcp"):
                if each.status == psutil.CONN_LISTEN and each.laddr.port in ports:
                    found[each.laddr.port] = child.pid
    return found


def test_each_of_several_processes_is_scraped_by_itself_and_so_is_one_that_takes_its_place(start: Start) -> None:
    first = two_free_ports()
    ports = [first, first + 1]
    gateway = start(GATEWAY_WORKERS="2", METRICS_PORT=str(first))
    gateway.wait_ready()
    url = gateway.ready_url.removesuffix("/readyz")
    for port in ports:
        scraped(port)

    posted = [httpx2.post(f"{url}/v1/sessions/s{n}/turns", json={"workflow": "echo"}).status_code for n in range(12)]
    counted = [re.findall(r'gateway_appends_total{outcome="appended"} (\S+)', scraped(port)) for port in ports]
    at_the_socket = httpx2.get(f"{url}/metrics").status_code
    ready = [httpx2.get(f"http://127.0.0.1:{port}/readyz").json()["ready"] for port in ports]
    healthy = [httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code for port in ports]
    before = pids_of_ports(gateway, ports)
    os.kill(before[first], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (after := pids_of_ports(gateway, ports)).keys() != set(ports) or after == before:
        assert time.monotonic() < deadline, gateway.tail()
        time.sleep(0.05)

    assert posted == [202] * 12
    assert sum(float(each[0]) for each in counted) == 12
    assert (at_the_socket, ready, healthy) == (404, [True, True], [200, 200])
    assert after[first + 1] == before[first + 1]
    assert after[first] != before[first]
    assert "argosy_build_info" in scraped(first)
    assert gateway.terminate() == 0


def test_a_port_for_metrics_that_is_taken_is_one_line(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        line = said_in_one_line(start(METRICS_PORT=str(port)))

    assert f"METRICS_PORT={port}: Address already in use" in line


def serving(gateway: Managed) -> list[psutil.Process]:
    """The living processes behind the socket of a gateway with several."""
    found = []
    for child in psutil.Process(gateway.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # gone, or a zombie
            found += [child] if "spawn_main" in " ".join(child.cmdline()) else []
    return found


def until_gone(processes: list[psutil.Process], within_s: float = 15.0) -> list[int]:
    """Pids of those that live on."""
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return [process.pid for process in alive]


def test_kill_9_of_the_supervisor_leaves_nobody(start: Start) -> None:
    gateway = start(GATEWAY_WORKERS="2")
    gateway.wait_ready()
    family = gateway.family()

    gateway.kill()

    assert len(family) >= 3
    assert until_gone([process for process in family if process.pid != gateway.pid]) == []


def test_a_process_that_was_killed_is_replaced(start: Start) -> None:
    gateway = start(GATEWAY_WORKERS="2")
    gateway.wait_ready()
    child = serving(gateway)[0]

    child.kill()

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children = serving(gateway)
        if len(children) == 2 and child.pid not in {each.pid for each in children}:
            break
        time.sleep(0.05)
    else:
        raise AssertionError(gateway.tail())
    gateway.wait_ready()


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_it_ends_with_the_one_that_started_it(gateway_dsn: str, tmp_path: Path, workers: str) -> None:
    read_fd, write_fd = os.pipe()
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "STATE_DB_URI": gateway_dsn,
        "ARGOSY_DATA_DIR": str(tmp_path), "AGENT_DISPATCH_BACKEND": "queue", "PORT": str(port),
        "GATEWAY_WORKERS": workers,
    }  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(ARGOSY), "gateway", "--parent-fd", str(read_fd)],
            env=environment,
            pass_fds=[read_fd],
            stdout=log,
            stderr=log,
        )
    os.close(read_fd)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                    break
            except httpx2.TransportError:
                time.sleep(0.05)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]

        os.close(write_fd)

        assert process.wait(15) in (0, 75), (tmp_path / "log").read_text()
        assert until_gone(family[1:]) == []
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
