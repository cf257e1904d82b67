"""The commands that an operator and a user type."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.fleet import Fleet
from tests.harness.processes import ARGOSY


@pytest.fixture
def unprepared(request: pytest.FixtureRequest, log_name: str, database: str, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose database is empty and whose topic does not exist."""
    bootstrap = str(request.getfixturevalue("broker")) if log_name == "kafka" else ""
    fleet = Fleet(tmp_path / "fleet", database, bootstrap)
    yield fleet
    fleet.stop()


def test_migrate_and_topics_prepare_a_fleet_and_may_be_repeated(unprepared: Fleet) -> None:
    assert unprepared.run("migrate", "--check")[0] == 1

    for _ in range(2):
        assert unprepared.run("migrate")[0] == 0
        assert unprepared.run("topics")[0] == 0

    assert unprepared.run("migrate", "--check")[0] == 0


@pytest.mark.parametrize("log_name", ["postgres"])
def test_a_turn_can_be_submitted_waited_for_and_shown_by_command(fleet: Fleet) -> None:
    fleet.worker()

    code, output = fleet.run(
        "turn", "submit", "session", "echo", '{"text": "hello"}', "--wait", "20", "--url", fleet.url
    )

    assert code == 0, output
    answer = json.loads(output[output.index("{") :])
    assert (answer["status"], answer["result"]) == ("completed", {"text": "hello"})
    assert fleet.run("turn", "get", answer["turn_id"], "--url", fleet.url)[0] == 0


def test_a_worker_refuses_to_start_on_an_empty_database_with_one_line(unprepared: Fleet) -> None:
    code, output = unprepared.run("worker", "dispatch")

    assert code == 1
    assert "run `argosy migrate`" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("log_name", ["postgres"])
def test_the_fleet_is_shown_once_or_live_until_ctrl_c(fleet: Fleet) -> None:
    fleet.worker()

    code, once = fleet.run("fleet", "--once", "--url", fleet.url)
    live_code, live = in_terminal([str(ARGOSY), "fleet", "--url", fleet.url], fleet.environment, until="alive", times=3)

    assert (code, live_code) == (0, 0), live
    assert "1 alive" in once
    assert "8: 0-7" in once
    assert "Traceback" not in live


def test_the_fleet_of_no_gateway_is_one_line(unprepared: Fleet) -> None:
    code, output = unprepared.run("fleet", "--url", unprepared.url)

    assert code == 1
    assert output.strip().splitlines()[-1].startswith("argosy: no gateway answers at")
    assert "Traceback" not in output


def in_terminal(command: list[str], environment: dict[str, str], *, until: str, times: int) -> tuple[int, str]:
    """Run a command in a terminal of its own until it has shown a text so many times, and press Ctrl-C."""
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", 50, 200, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=environment | {"TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    deadline_s = time.monotonic() + 20
    try:
        while shown.count(until.encode()) < times and time.monotonic() < deadline_s:
            if select.select([ours], [], [], 0.5)[0]:
                shown += os.read(ours, 65_536)
        process.send_signal(signal.SIGINT)
        return process.wait(10), shown.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
