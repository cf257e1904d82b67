"""What a turn says is seen while it says it."""

from pathlib import Path

import httpx

from tests.console.browser import Console
from tests.console.test_console import post, status_of
from tests.harness.fleet import Fleet


def test_text_is_there_before_its_step_has_ended(
    console: Console, http: httpx.Client, session: str, tmp_path: Path
) -> None:
    browser = console.browser
    release = tmp_path / "release"
    turn_id = post(http, session, "writer", {"until": str(release)})

    console.open_turn(turn_id)
    browser.until_text("Hello,", ".said")
    assert status_of(http, turn_id) == "running"
    browser.until_text("live", ".line-state")
    browser.until(lambda: "write" in console.rows(), "line of the step")

    release.touch()
    console.status("completed")
    browser.until_text("Hello, world \N{SAILBOAT}", ".said")
    assert "live" not in browser.text(".channel")


def test_what_a_killed_worker_said_is_thrown_away_and_said_again(
    console: Console, http: httpx.Client, fleet: Fleet, session: str, tmp_path: Path
) -> None:
    browser = console.browser
    release = tmp_path / "release"
    turn_id = post(http, session, "writer", {"until": str(release)})
    console.open_turn(turn_id)
    browser.until_text("Hello,", ".said")

    (worker,) = [process for process in fleet.processes if process.name == "worker" and process.process.poll() is None]
    worker.kill()
    fleet.worker()
    browser.until_text("began again", ".channel")
    browser.until_text("2 attempts", ".waterfall")
    assert "lost" in console.rows()["in flight"]

    release.touch()
    console.status("completed")
    assert browser.until_text("Hello, world \N{SAILBOAT}", ".said") == "Hello, world \N{SAILBOAT}"
