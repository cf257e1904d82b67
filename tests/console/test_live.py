"""What a turn says is seen while it says it."""

from pathlib import Path

import httpx

from tests.console.browser import Console
from tests.console.test_console import post, status_of


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
    assert "write" in console.rows()

    release.touch()
    console.status("completed")
    browser.until_text("Hello, world \N{SAILBOAT}", ".said")
    assert "live" not in browser.text(".channel")
