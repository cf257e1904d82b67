"""The worker that a gateway brings."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from argosy import config, log_lines
from argosy.cli.processes import gateway
from argosy.errors import SettingError
from argosy.local.inline_worker import inline_worker
from argosy.local.processes import Process
from argosy.local.supervisor import ProcessPart

WITHIN_S = 20.0
NOTES_ITS_PID = "import os, signal, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); signal.pause()"


def test_one_that_is_killed_is_started_again_and_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = tmp_path / "pids"
    noted.touch()
    command = (sys.executable, "-c", NOTES_ITS_PID, str(noted))
    monkeypatch.setattr(Process, "command", lambda _: command)

    def pids(count: int) -> list[int]:
        deadline_s = time.monotonic() + WITHIN_S
        while len(found := noted.read_text().split()) < count:
            assert time.monotonic() < deadline_s, "no worker was started"
            time.sleep(0.02)
        return [int(each) for each in found]

    with inline_worker(config.load({})):
        (first,) = pids(1)
        os.kill(first, signal.SIGKILL)
        _, second = pids(2)
        assert psutil.pid_exists(second)

    assert not psutil.pid_exists(second)
    assert len(pids(2)) == 2


def test_there_is_none_where_workers_are_started_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessPart, "start", lambda _: pytest.fail("it was started"))

    with inline_worker(config.load({}, agent_dispatch_backend="queue")):
        pass


def test_there_is_none_for_an_address_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessPart, "start", lambda _: pytest.fail("it was started"))
    monkeypatch.setattr(log_lines, "set_up_logging", lambda *_: None)  # it would outlive the test
    monkeypatch.setenv("STATE_DB_URI", "postgresql://nobody@127.0.0.1:1/nowhere")
    monkeypatch.setenv("AGENT_DISPATCH_BACKEND", "inline")
    monkeypatch.setenv("HOST", "0.0.0.0")  # noqa: S104

    with pytest.raises(SettingError, match="is not a loopback address"):
        gateway()
