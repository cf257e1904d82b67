"""A session's list is read again when its stream says so, and no two tabs see it differently."""

import threading
from pathlib import Path
from typing import Any

import httpx2

from tests.console.browser import Browser, Console
from tests.console.scripted import SESSION, STREAM, Act, Scripted, message
from tests.console.test_console import post
from tests.console.test_turn_model import event

LIST = f"/v1/sessions/{SESSION}/turns"
BEGIN = (STREAM, None, "from=now")
# A page that asks for nothing because of its age.
NO_AGE = """
    const own = window.setTimeout;
    window.setTimeout = (task, milliseconds) => own(task, milliseconds >= 5_000 ? 3_600_000 : milliseconds);
"""


def told(kind: str) -> str:
    return message(kind, "1:1-1", event(1, kind, 0))


def show(gateway: Scripted, status: str, *names: str) -> None:
    """What the session's list has from now on, the newest first."""
    turns: list[dict[str, Any]] = [
        gateway.turn | {"turn_id": name, "workflow": name, "status": status} for name in names
    ]
    gateway.pages |= {
        f"/v1/sessions/{SESSION}": {"session": SESSION, "head": None, "turns_queued": 0},
        LIST: {"turns": turns, "next": None},
    }


def test_what_happens_to_a_turn_is_seen_when_it_happens(browser: Browser) -> None:
    with Scripted(Act(200, STREAM, is_held=True)) as gateway:
        show(gateway, "running", "first")
        Console(browser, gateway.url).open_session(SESSION)
        browser.until_text("running", ".turns")
        browser.run(NO_AGE)

        for status in ("suspended", "running", "completed"):
            show(gateway, status, "first")
            gateway.late.append(told(f"turn.{status}"))
            browser.until_text(status, ".turns")
        browser.open("about:blank")

    assert gateway.asked == [BEGIN]


def test_turns_that_were_unwritten_by_a_restore_are_listed_no_longer(browser: Browser) -> None:
    with Scripted(Act(200, STREAM, told("turn.started")), Act(200, STREAM, is_held=True)) as gateway:
        show(gateway, "running", "lost", "kept")
        Console(browser, gateway.url).open_session(SESSION)
        browser.until(lambda: len(gateway.asked) == 2, "second stream")
        browser.until_text("lost", ".turns")

        show(gateway, "completed", "kept")
        gateway.late.append(message("resync", "1:1-1", {"from_seq": 1}))
        browser.until(lambda: browser.texts(".turns .name") == ["kept"], "what is left")
        browser.open("about:blank")

    assert gateway.asked == [BEGIN, (STREAM, "1:1-1", "from=now")]


def test_a_list_that_was_asked_for_before_a_restore_and_arrives_after_it_does_not_count(browser: Browser) -> None:
    arrives = threading.Event()
    with Scripted(Act(200, STREAM, is_held=True)) as gateway:
        show(gateway, "running", "lost", "kept")
        Console(browser, gateway.url).open_session(SESSION)
        browser.until_text("lost", ".turns")
        gateway.held[LIST] = arrives
        gateway.late.append(told("turn.started"))
        browser.until(lambda: not gateway.held, "a list that is on its way")

        show(gateway, "completed", "kept")
        gateway.late.append(message("resync", "1:1-1", {"from_seq": 1}))
        browser.until(lambda: not browser.texts(".turns .name"), "what was listed is forgotten")
        arrives.set()
        browser.until(lambda: browser.texts(".turns .name") == ["kept"], "what is left")
        browser.open("about:blank")

    assert gateway.asked == [BEGIN]


def test_while_there_is_no_stream_the_list_is_asked_for(browser: Browser) -> None:
    with Scripted(*[Act(503)] * 50) as gateway:
        show(gateway, "running", "first")
        Console(browser, gateway.url).open_session(SESSION)
        browser.until_text("running", ".turns")
        browser.run(NO_AGE)

        for status in ("suspended", "running", "completed"):
            show(gateway, status, "first")
            browser.until_text(status, ".turns")
        browser.open("about:blank")
    browser.log()


def test_two_tabs_on_one_session_see_the_same(
    console: Console, http: httpx2.Client, session: str, tmp_path: Path
) -> None:
    browser = console.browser
    turn_id = post(http, session, "desk", {"counter": str(tmp_path / "counter")})
    console.open_session(session)
    browser.until_text("suspended", ".turns")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    try:
        console.open_session(session)
        browser.until_text("suspended", ".turns")
        browser.click("New turn here")
        browser.fill("Workflow", "echo")
        browser.click("Post turn")
        browser.until_text("echo", "h1")
        console.open_turn(turn_id)
        browser.click("Cancel…")
        browser.click("Cancel turn")
        console.status("cancelled")
        console.open_session(session)
        browser.until(lambda: sorted(browser.texts(".turns .chip")) == ["cancelled", "completed"], "both turns")
    finally:
        browser.driver.close()
        browser.driver.switch_to.window(first)

    browser.until(lambda: sorted(browser.texts(".turns .chip")) == ["cancelled", "completed"], "both turns")
