"""The commands that an operator and a user type."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from typer.testing import CliRunner

from argosy import cli, log_lines
from argosy.cli import turns
from argosy.cli.app import app
from argosy.errors import SettingError
from tests.harness.fleet import Fleet
from tests.harness.logs import KAFKA_FIRST
from tests.harness.processes import ARGOSY
from tests.harness.terminal import in_terminal


@KAFKA_FIRST
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


@pytest.mark.parametrize("log_name", ["postgres"])
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


@pytest.mark.parametrize("log_name", ["postgres"])
def test_the_fleet_of_no_gateway_is_one_line(unprepared: Fleet) -> None:
    code, output = unprepared.run("fleet", "--url", unprepared.url)

    assert code == 1
    assert output.strip().splitlines()[-1].startswith("argosy: no gateway answers at")
    assert "Traceback" not in output


@pytest.mark.parametrize("log_name", ["postgres"])
def test_two_workers_may_share_a_data_folder(fleet: Fleet) -> None:
    for _ in range(2):
        fleet.worker(GRAPH_SERVICE_AUTH_SECRET="")  # minted in the folder, by whoever comes first

    code, output = fleet.run("fleet", "--once", "--url", fleet.url)

    assert (code, "2 alive" in output) == (0, True), output


def test_up_twice_in_one_folder_is_one_line(folder: Path, make_cluster: Callable[[Path], None]) -> None:
    make_cluster(folder / "data")
    fleet = Fleet(folder, "", "")
    fleet.environment["PORT"] = "0"
    try:
        fleet.up(AGENT_DISPATCH_BACKEND="inline")

        code, output = fleet.run("up")
    finally:
        fleet.stop()

    assert code == 1
    assert re.search(r"^argosy: another Argosy \(pid \d+\) owns .*: stop it first$", output, re.M), output
    assert "Traceback" not in output


@pytest.mark.parametrize("log_name", ["postgres"])
async def test_a_process_that_is_older_than_the_database_says_so_in_one_line(idle_fleet: Fleet, database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO argosy.migrations (name, checksum) VALUES ('9999_future', '')")
    await connection.close()

    said = [await asyncio.to_thread(idle_fleet.run, *command) for command in (["worker", "dispatch"], ["gateway"])]

    for code, output in said:
        assert code == 1
        assert "the database was migrated by a newer version of Argosy (9999_future)" in output
        assert "Traceback" not in output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["broker", "--port", "99999"], "argosy: port 99999: "),
        (["broker", "--port", "65534", "--nodes", "3"], "argosy: port 65534: "),
        (["broker", "--port", "-1"], "argosy: port -1: "),
        (["broker", "--nodes", "2"], "argosy: --nodes 2: a broker has 1 node, or 3"),
        (["turn", "get", ".."], "argosy: '..' is neither an id nor a name"),
        (["turn", "signal", "x", ""], "argosy: '' is neither an id nor a name"),
        (["worker", "dispatch"], "argosy: STATE_DB_URI is not set"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["argosy", *arguments])
    for module, name in ((log_lines, "set_up_logging"), (cli, "look_seldom")):
        monkeypatch.setattr(module, name, lambda *_: None)  # it would outlive the test
    monkeypatch.delenv("STATE_DB_URI", raising=False)

    with pytest.raises(SystemExit) as ended:
        cli.main()

    said = capsys.readouterr().err.strip().splitlines()
    assert (ended.value.code, len(said)) == (1, 1), said
    assert said[0].startswith(line)


def test_ids_and_names_are_quoted_in_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(turns, "call", lambda method, _url, path, **_: asked.append((method, path)))
    runner = CliRunner()

    for arguments in (
        ["turn", "get", "../x"],
        ["turn", "cancel", "a?b#c"],
        ["turn", "resume", "a?b#c"],
        ["turn", "signal", "a/b", "é /?"],
        ["turn", "submit", "s/../ü", "echo"],
    ):
        assert runner.invoke(app, arguments).exit_code == 0

    assert asked == [
        ("GET", "/v1/turns/..%2Fx"),
        ("POST", "/v1/turns/a%3Fb%23c/cancel"),
        ("POST", "/v1/turns/a%3Fb%23c/resume"),
        ("POST", "/v1/turns/a%2Fb/signals/%C3%A9%20%2F%3F"),
        ("POST", "/v1/sessions/s%2F..%2F%C3%BC/turns"),
    ]


def test_all_parked_turns_that_match_are_resumed_under_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, left = [], [(1000, True), (7, False)]

    def answer(method: str, _url: str, path: str, *, key: str) -> tuple[Any, bool]:
        asked.append((method, path, key))
        resumed, has_more = left.pop(0)
        return {"resumed": resumed, "has_more": has_more}, True

    monkeypatch.setattr(turns, "ask", answer)

    result = CliRunner().invoke(app, ["turn", "resume", "--all", "--reason", "no_build", "--workflow", "a b"])

    assert (result.exit_code, json.loads(result.output)) == (0, {"resumed": 1007})
    path = "/v1/turns:resume?reason=no_build&workflow=a+b"
    assert [each[:2] for each in asked] == [("POST", path)] * 2
    assert len({each[2] for each in asked}) == 1


@pytest.mark.parametrize("arguments", [[], ["x", "--all"], ["x", "--reason", "no_build"]])
def test_a_resume_names_one_turn_or_says_all(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["turn", "resume", *arguments])

    assert isinstance(result.exception, SettingError)


def test_a_long_wait_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts_s = []

    def refuse(*_: Any, timeout: httpx2.Timeout, **__: Any) -> None:
        timeouts_s.append(timeout.read)
        raise httpx2.ConnectError("nobody is there")

    monkeypatch.setattr(httpx2.Client, "request", refuse)
    ended = CliRunner().invoke(app, ["turn", "submit", "session", "echo", "--wait", "600"])

    assert timeouts_s == [690]
    assert str(ended.exception) == "no gateway answers at http://127.0.0.1:9000: nobody is there"


SURROUNDINGS = {
    "ascii, dumb and narrow": {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "ascii",
        "PYTHONCOERCECLOCALE": "0",
        "TERM": "dumb",
        "COLUMNS": "5",
    },
    "cp1252, and warnings are errors": {"PYTHONIOENCODING": "cp1252", "PYTHONWARNINGS": "error"},
}


@pytest.mark.parametrize("log_name", ["postgres"])
def test_a_terminal_that_is_not_utf_8_shows_what_it_can(fleet: Fleet) -> None:
    fleet.worker()
    code, output = fleet.run("turn", "submit", "ß✓", "echo", '"日本"', "--wait", "20", "--url", fleet.url)
    assert code == 0, output
    turn_id = json.loads(output[output.index("{") :])["turn_id"]

    for name, environment in SURROUNDINGS.items():
        for command in (("turn", "get", turn_id), ("turn", "watch", turn_id)):
            ended = subprocess.run(
                [ARGOSY, *command, "--url", fleet.url],
                env={**os.environ, **environment},
                capture_output=True,
                check=False,
            )
            assert ended.returncode == 0, (name, ended.stderr)
            assert b"Traceback" not in ended.stdout + ended.stderr


def test_a_closed_pipe_and_a_full_disk_end_a_command_without_a_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed, Path("/dev/full").open("wb") as full:
        piped = subprocess.run([ARGOSY, "--help"], stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
        filled = subprocess.run([ARGOSY, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (piped.returncode, piped.stderr) == (1, "")
    assert (filled.returncode, filled.stderr) == (1, "argosy: [Errno 28] No space left on device\n")
