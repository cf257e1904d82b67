"""What a turn says is seen while it says it."""

from pathlib import Path

import asyncpg
import httpx2

from tests.conftest import in_thread
from tests.console.browser import Console
from tests.console.test_console import post, status_of
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed


def running(fleet: Fleet, name: str) -> Managed:
    """The one process of this name that there is."""
    (found,) = [each for each in fleet.processes if each.name == name and each.process.poll() is None]
    return found


def lose_worker(fleet: Fleet) -> None:
    """Another takes its place."""
    running(fleet, "worker").kill()
    fleet.worker()


def test_text_is_there_before_its_step_has_ended(
    console: Console, http: httpx2.Client, session: str, tmp_path: Path
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
    console: Console, http: httpx2.Client, fleet: Fleet, session: str, tmp_path: Path
) -> None:
    browser = console.browser
    release = tmp_path / "release"
    turn_id = post(http, session, "writer", {"until": str(release)})
    console.open_turn(turn_id)
    browser.until_text("Hello,", ".said")

    lose_worker(fleet)
    browser.until_text("began again", ".channel")
    browser.until_text("2 attempts", ".waterfall")
    assert "lost" in console.rows()["in flight"]

    release.touch()
    console.status("completed")
    assert browser.until_text("Hello, world \N{SAILBOAT}", ".said") == "Hello, world \N{SAILBOAT}"


def test_a_parked_turn_is_resumed(
    console: Console, http: httpx2.Client, fleet: Fleet, session: str, tmp_path: Path
) -> None:
    browser = console.browser
    begun, release = tmp_path / "begun", tmp_path / "release"
    turn_id = post(http, session, "payer", {"begun": str(begun), "until": str(release)})
    console.open_turn(turn_id)
    browser.until(begun.exists, "step")
    lose_worker(fleet)
    console.status("parked")
    assert status_of(http, turn_id) == "parked"

    release.touch()
    browser.click("Resume…")
    browser.click("Resume", "dialog button")

    console.status("completed")
    browser.until_text("wired", ".turn")
    assert status_of(http, turn_id) == "completed"


def test_a_turn_whose_first_events_are_kept_no_longer_is_shown_as_it_stands(
    console: Console, http: httpx2.Client, fleet: Fleet, session: str, tmp_path: Path
) -> None:
    browser = console.browser
    turn_id = post(http, session, "desk", {"counter": str(tmp_path / "counter")})
    console.open_turn(turn_id)
    console.status("suspended")

    async def forget() -> None:
        connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
        await connection.execute(
            "DELETE FROM argosy.events AS e WHERE turn_id = $1"
            " AND seq < (SELECT seq FROM argosy.events WHERE turn_id = e.turn_id AND type = 'step.completed')",
            turn_id,
        )
        await connection.close()

    in_thread(forget)
    ndjson = {"accept": "application/x-ndjson"}
    with http.stream("GET", f"/v1/turns/{turn_id}/events", headers=ndjson) as told:
        assert '"type":"snapshot"' in next(told.iter_lines())
    console.open_turn(turn_id)

    console.status("suspended")
    browser.until(lambda: "2 tries" in console.rows().get("stumble", ""), "step")
    browser.click("Events3")
    assert "turn.started" not in browser.text(".events")
    http.post(f"/v1/turns/{turn_id}/signals/reviewed", json="fine").raise_for_status()
    console.status("completed")
    browser.until_text("fine", ".turn")


def test_the_page_goes_on_by_itself_when_a_gateway_that_drained_is_back(
    console: Console, http: httpx2.Client, fleet: Fleet, session: str, tmp_path: Path
) -> None:
    browser = console.browser
    release = tmp_path / "release"
    turn_id = post(http, session, "writer", {"until": str(release)})
    console.open_turn(turn_id)
    browser.until_text("Hello,", ".said")
    browser.until_text("live", ".line-state")

    assert running(fleet, "gateway").terminate() == 0
    browser.until_text("The gateway does not answer", "#reach")
    assert browser.text(".said").strip() == "Hello,"
    release.touch()
    fleet.gateway()

    console.status("completed")
    assert browser.until_text("Hello, world \N{SAILBOAT}", ".said") == "Hello, world \N{SAILBOAT}"
    assert browser.text("#reach") == ""
    browser.log()
